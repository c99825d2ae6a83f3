"""For tests and benchmarks: many searches on one study, each a process of its own that may be killed, and a PostgreSQL.

`python -m jetformer_hpo.testing_searches STORAGE FOLDER TRIALS SEED SLEEP` is one of them: 480 points, work that costs
nothing but SLEEP seconds. Silent workers count as dead after 3 s.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from jetformer_hpo import testing
from jetformer_hpo.samplers import make_sampler
from jetformer_hpo.search import Search
from jetformer_hpo.space import Space
from jetformer_hpo.study import failures, make_study, open_storage, tried

NAMES = ("accuracy", "flops")
SPACE = Space.of(
    {
        "blocks": [1, 2, 3, 4, 5, 6],
        "embed_dim/heads": ["8/2", "16/2", "32/2", "64/2", "64/4", "128/2", "128/4", "128/8"],
        "dropout": [0.0, 0.05],
        "learning_rate": [5e-4, 1e-3, 2e-3, 4e-3, 8e-3],
    }
)


def search(storage: str, folder: Path, trials: int, seed: int, sleep: float = 0.0, workers: int = 1) -> None:
    """One search, until the budget of all is spent."""
    with open_storage(storage, create=True, heartbeat=1, grace=3) as database:
        study = make_study(database, ("maximize", "minimize"), NAMES)
        sampler = make_sampler("nsga2", seed=seed, space=SPACE)
        request = {"asked": str(folder / "asked.txt"), "sleep": sleep}
        where = folder / "trials"
        Search(
            database, study, SPACE, NAMES, sampler, testing.cheap, request, where, trials, workers=workers
        ).run()


@dataclass(frozen=True)
class Outcome:
    """Of many searches: points with a result, without one, with two; trainings; trials that were stored for nothing, as
    somebody else was faster; what searches said when they failed."""

    trials: int
    lost: int
    doubled: int
    trainings: int
    races: int
    seconds: float
    complaints: tuple[str, ...]


def many(
    storage: str, folder: Path, trials: int, searches: int, sleep: float = 0.0, kills: int = 0
) -> Outcome:
    """`searches` at once; `kills` times one of them, or the trial that one of them is at, is killed, and begun again."""
    folder.mkdir(parents=True, exist_ok=True)
    begin = time.monotonic()
    going = [_start(storage, folder, trials, log, sleep) for log in range(searches)]
    chance = random.Random(1)
    try:
        for number in range(kills):
            while _asked(folder) < (number + 1) * trials // (kills + 2):  # spread over the whole search
                time.sleep(0.05)
            time.sleep(0.3 * chance.random())
            chosen = chance.randrange(searches)
            _kill(going[chosen], the_trial=number % 2 == 0)
            if number % 2:
                going[chosen].wait()
                going[chosen] = _start(storage, folder, trials, searches + number, sleep)
        codes = [process.wait() for process in going]
    finally:
        for process in going:
            process.kill()
    seconds = time.monotonic() - begin
    logs = sorted(folder.glob("*.log"))
    complaints = [text for log in logs if (text := log.read_text().strip())]
    complaints += [f"exit code {code}" for code in codes if code]
    return _outcome(storage, folder, trials, seconds, tuple(complaints))


def _start(storage: str, folder: Path, trials: int, number: int, sleep: float) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", __name__, storage, str(folder), str(trials), "1", str(sleep)]
    with open(folder / f"{number}.log", "wb") as log:
        return subprocess.Popen(command, stderr=log)


def _kill(search: subprocess.Popen[bytes], the_trial: bool) -> None:
    if not the_trial:
        search.kill()
        return
    # the search's child is the server that forks; the trials are the server's children
    for server in _children(search.pid):
        for trial in _children(server):
            os.kill(trial, signal.SIGKILL)


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:  # it has ended
        return []


def _asked(folder: Path) -> int:
    """Trainings that have begun."""
    path = folder / "asked.txt"
    return len(path.read_text().splitlines()) if path.exists() else 0


def _outcome(storage: str, folder: Path, budget: int, seconds: float, complaints: tuple[str, ...]) -> Outcome:
    with open_storage(storage) as database:
        study = make_study(database, ("maximize", "minimize"), NAMES)
        trials = study.get_trials(deepcopy=False)
    points = Counter(SPACE.point(trial.params) for trial in trials if trial.values)
    failed = failures(trials, SPACE)
    asked = _asked(folder)
    return Outcome(
        len(points),
        min(budget, len(SPACE)) - len(tried(trials, SPACE)) + len(failed),
        sum(count - 1 for count in points.values()),
        asked,
        len(trials) - asked,
        seconds,
        complaints + tuple(failed.values()),
    )


class NoServer(Exception):
    """PostgreSQL is not to be had; the reason."""


@contextmanager
def postgres() -> Iterator[str]:
    """The URL of a database of a PostgreSQL server that is started here, from Debian's packages, and ended afterwards."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        raise NoServer("PostgreSQL is not installed; on Debian: apt-get install postgresql")
    programs = found[-1].parent
    user = "postgres" if os.getuid() == 0 else None  # the server refuses to run as root
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))
    try:
        if user:
            shutil.chown(folder, user)
        settings: list[str | Path] = ["-D", str(folder / "data")]
        _run([programs / "initdb", *settings, "-A", "trust", "-U", "jetformer"], user)
        port = _free_port()
        options = f"-p {port} -k {folder} -c listen_addresses=localhost -c fsync=off"
        server: list[str | Path] = [programs / "pg_ctl", *settings, "-w"]
        _run([*server, "-l", folder / "log", "-o", options, "start"], user)
        try:
            yield f"postgresql://jetformer@localhost:{port}/postgres"
        finally:
            _run([*server, "-m", "immediate", "stop"], user)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(command: list[str | Path], user: str | None) -> None:
    subprocess.run(command, user=user, cwd="/", check=True, stdout=subprocess.DEVNULL)


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("localhost", 0))
        return int(one.getsockname()[1])


if __name__ == "__main__":
    search(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5]))
