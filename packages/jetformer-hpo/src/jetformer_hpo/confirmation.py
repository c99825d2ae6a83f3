"""Training the front's networks again with other seeds: how good they are without the luck of having been chosen."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optuna.study import Study

from jetformer_hpo import findings
from jetformer_hpo.errors import SearchError
from jetformer_hpo.front import Candidate

# Away from the small numbers that people give to searches.
FIRST_SEED = 1_000_001


@dataclass(frozen=True)
class Repetition:
    """One training of a candidate's point with another seed."""

    candidate: Candidate
    seed: int

    def request(self, common: Mapping[str, Any]) -> dict[str, Any]:
        """As `trial` takes it."""
        return dict(common) | {"settings": dict(self.candidate.settings), "seed": self.seed}

    def run(self, common: Mapping[str, Any], parent: Path) -> dict[str, float]:
        """Train in a process of its own and return what was measured; begun again, it goes on where it stopped."""
        folder = parent / f"trial-{self.candidate.trial}-seed-{self.seed}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "request.json").write_text(json.dumps(self.request(common), indent=1))
        command = [sys.executable, "-m", "jetformer_hpo.trial", str(folder)]
        done = subprocess.run(
            command, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}
        )
        (folder / "log.txt").write_text(done.stdout + done.stderr)
        if done.returncode:
            reason = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
            raise SearchError(
                f"trial {self.candidate.trial} with seed {self.seed} failed: {reason[-1].removeprefix('jetformer-hpo: ')}"
            )
        values: dict[str, float] = json.loads((folder / "result.json").read_text())["values"]
        return values


def missing(found: findings.Findings, seeds: int) -> list[Repetition]:
    """What is to be trained so that each member of the front has so many seeds."""
    return [
        Repetition(candidate, seed)
        for candidate in found.front
        for seed in range(FIRST_SEED, FIRST_SEED + seeds)
        if seed not in candidate.confirmed
    ]


def confirm(
    study: Study,
    seeds: int,
    folder: Path,
    workers: int = 1,
    progress: Callable[[], object] = lambda: None,
) -> None:
    """Train each member of the front with so many other seeds and store the results in the study; what is there stays.

    Raises SearchError for the first training that failed, after all others are done.
    """
    found = findings.read(study)
    failures = []
    for repetition, outcome in _outcomes(missing(found, seeds), found.request, folder, workers):
        if isinstance(outcome, SearchError):
            failures.append(outcome)
        else:
            findings.confirm(study, repetition.candidate.trial, repetition.seed, outcome)
        progress()
    if failures:
        raise failures[0]


def _outcomes(
    repetitions: Sequence[Repetition], common: Mapping[str, Any], folder: Path, workers: int
) -> Iterator[tuple[Repetition, dict[str, float] | SearchError]]:
    # threads: each only waits for its process
    with ThreadPoolExecutor(workers) as pool:
        futures = {pool.submit(one.run, common, folder): one for one in repetitions}
        try:
            for future in as_completed(futures):
                error = future.exception()
                if error is not None and not isinstance(error, SearchError):
                    raise error
                yield futures[future], error or future.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
