"""Worker processes: each job once, the first failure ends the run, and a folder belongs to one run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from jetformer_data import workers
from jetformer_data.errors import DataError
from jetformer_data.workers import Lock, run_workers

# Jobs are run by fresh interpreters, which import them from a module of its own.
JOBS = """
import os, signal, time
from jetformer_data.errors import DataError

def write(path, report):
    print("a banner that must not reach standard output")
    report(3)
    with open(path, "a") as file:
        file.write("done")

def refuse(path, report):
    raise DataError(f"no jets for\\n{path}")

def stumble(path, report):
    raise ValueError("odd")

def die(path, report):
    os.kill(os.getpid(), signal.SIGKILL)

def last_forever(path, report):
    open(path, "w").write(str(os.getpid()))
    time.sleep(600)
"""


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Callable[..., None]]:
    (tmp_path / "jobs_for_workers.py").write_text(JOBS)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "jobs_for_workers", raising=False)

    def find(name: str) -> Callable[..., None]:
        return getattr(__import__("jobs_for_workers"), name)

    return find


@pytest.mark.parametrize("count", (1, 2))
def test_every_job_is_done_once(
    tmp_path: Path, job: Callable, count: int, capfd: pytest.CaptureFixture[str]
) -> None:
    paths = [str(tmp_path / f"{i}.txt") for i in range(3)]
    totals: list[int] = []
    seconds = run_workers(job("write"), paths, count, tmp_path, totals.append)
    assert [Path(path).read_text() for path in paths] == ["done"] * 3
    assert totals[-1] == 9
    assert totals == sorted(totals)
    assert seconds > 0
    assert capfd.readouterr().out == ""


def test_no_jobs_need_no_workers(tmp_path: Path) -> None:
    assert run_workers(print, [], 2, tmp_path, print) == 0


@pytest.mark.parametrize(
    ("name", "message"),
    (("refuse", "no jets for here"), ("stumble", "ValueError: odd"), ("die", "ended by SIGKILL")),
)
def test_a_failing_worker_ends_the_run_with_its_message(
    tmp_path: Path, job: Callable, name: str, message: str
) -> None:
    with pytest.raises(DataError, match=f"a worker process failed: .*{message}"):
        run_workers(job(name), ["here"], 1, tmp_path, lambda done: None)


def test_workers_end_with_their_parent(tmp_path: Path, job: Callable) -> None:
    script = tmp_path / "parent.py"
    script.write_text(
        "from pathlib import Path\nimport jobs_for_workers\nfrom jetformer_data.workers import run_workers\n"
        "if __name__ == '__main__':\n"
        f"    run_workers(jobs_for_workers.last_forever, [{str(tmp_path / 'pid')!r}], 1, Path({str(tmp_path)!r}), print)\n"
    )
    with subprocess.Popen([sys.executable, script], stdout=subprocess.DEVNULL) as parent:
        worker = _wait_for(lambda: int((tmp_path / "pid").read_text()))
        parent.send_signal(signal.SIGKILL)
    _wait_for(lambda: _is_gone(worker) or None)


def test_a_folder_belongs_to_one_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "_PATIENCE_SECONDS", 0.0)
    with Lock(tmp_path), pytest.raises(DataError, match="another run is at work"), Lock(tmp_path):
        pass
    with Lock(tmp_path):
        pass


def _wait_for(answer: Callable[[], int | bool | None]) -> int:
    for _ in range(600):
        try:
            if (found := answer()) is not None:
                return int(found)
        except (OSError, ValueError):
            pass
        time.sleep(0.1)
    raise AssertionError("it never happened")


def _is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rsplit(")", 1)[1].split()[0] == "Z"
