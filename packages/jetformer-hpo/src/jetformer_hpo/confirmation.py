"""Training the front's networks again with other seeds: how good they are without the luck of having been chosen."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

from optuna.study import Study

from jetformer_hpo import findings, trial
from jetformer_hpo.errors import SearchError
from jetformer_hpo.front import Candidate
from jetformer_hpo.workers import Failed, Worker

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

    def start(self, common: Mapping[str, Any], parent: Path) -> Worker:
        """Begin in a process of its own; one that was stopped goes on where it was."""
        folder = parent / f"trial-{self.candidate.trial}-seed-{self.seed}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / trial.REQUEST).write_text(json.dumps(self.request(common), indent=1))
        return Worker(trial.run, folder, math.inf)

    def outcome(self, worker: Worker) -> dict[str, float] | SearchError:
        """What was measured, or why nothing was."""
        try:
            values: dict[str, float] = worker.result()["values"]
        except Failed as failed:
            return SearchError(f"trial {self.candidate.trial} with seed {self.seed} failed: {failed.reason}")
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
    waiting, running = list(reversed(repetitions)), list[tuple[Repetition, Worker]]()
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                running.append((waiting[-1], waiting.pop().start(common, folder)))
            wait([worker.sentinel for _, worker in running])
            for repetition, worker in [one for one in running if one[1].is_done]:
                running.remove((repetition, worker))
                yield repetition, repetition.outcome(worker)
    finally:
        for _, worker in running:
            worker.stop()
