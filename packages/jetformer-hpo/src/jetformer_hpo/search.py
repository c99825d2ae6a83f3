"""The search: a sampler proposes points, processes of their own train them, and no point is trained twice.

Any number of searches may work on one study at the same time, on one machine (SQLite) or on many (PostgreSQL). Whichever
is killed, at most the trials that it was running are begun again, by itself when it is started anew or by the others.
"""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import RDBStorage
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from jetformer_hpo.claims import Claims
from jetformer_hpo.space import Point, Space
from jetformer_hpo.study import (
    FAILURE,
    HEARTBEAT,
    MEASURED,
    REPEAT_OF,
    enqueue_again,
    fail_dead_trials,
    tried,
)
from jetformer_hpo.workers import Failed, Work, Worker

# After so many proposals in a row of points already known, an untried one is drawn at random: spaces are small.
PATIENCE = 10
_POLL = 0.005
_IDLE = 0.5


@dataclass
class Running:
    """A trial at work. `attempts`: how often it was started."""

    trial: Trial
    point: Point
    worker: Worker
    attempts: int = 1


@dataclass
class Search:
    """A search that is going on.

    storage: the database of the study
    study: with a sampler
    work: does what a trial is, in a process of its own, see `workers`
    request: what each request.json holds besides the point's settings and the seed
    folder: gets a folder for each trial
    trials: different points to try in all
    time_limit: seconds a trial
    seed: of the networks' weights and of untried points that are drawn
    """

    storage: RDBStorage
    study: Study
    space: Space
    objectives: Sequence[str]
    work: Work
    request: dict[str, Any]
    folder: Path
    trials: int
    workers: int = 1
    time_limit: float = float("inf")
    seed: int = 0
    progress: Callable[[int], object] = lambda done: None
    running: list[Running] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.budget = min(self.trials, len(self.space))
        self.study_id = self.storage.get_study_id_from_name(self.study.study_name)
        self.claims = Claims(self.storage.engine, self.study_id)
        self._last_heartbeat = 0.0
        self._repeats = 0

    def run(self) -> None:
        """Go on until the budget is spent. Interrupted, it ends its trials, which are taken up by the next start."""
        try:
            while not self._is_complete():
                self._keep_alive()
                if len(self.running) < self.workers and self._start_next():
                    continue
                if not self._finish_those_done():
                    time.sleep(_POLL if self.running else _IDLE)
        except BaseException:
            self._stop()
            raise

    def _is_complete(self) -> bool:
        return not self.running and len(tried(self._trials(), self.space)) >= self.budget

    def _trials(self) -> list[FrozenTrial]:
        return self.study.get_trials(deepcopy=False)

    def _keep_alive(self) -> None:
        if time.monotonic() - self._last_heartbeat < HEARTBEAT:
            return
        self._last_heartbeat = time.monotonic()
        for running in self.running:
            self._heartbeat(running.trial)
        fail_dead_trials(self.study)

    def _id(self, number: int) -> int:
        """As the storage names a trial."""
        return self.storage.get_trial_id_from_study_id_trial_number(self.study_id, number)

    def _heartbeat(self, trial: Trial) -> None:
        self.storage.record_heartbeat(self._id(trial.number))

    def _start_next(self) -> bool:
        """Ask for a point and begin its training, or answer it from what is known; False if there is nothing to begin."""
        if not self._has_room():
            return False
        if self._repeats >= PATIENCE:
            self._propose_untried()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # heartbeats are recorded here, by us
            trial = self.study.ask()
        self._heartbeat(trial)
        point = self.space.suggest(trial)
        holder = self.claims.claim(point, trial.number, self.budget)
        if holder is not None and holder != trial.number:
            holder = self._answer_or_take_over(trial, point, holder)
        if holder != trial.number:
            self._repeats += 1
            if holder is None:  # all slots are taken; whoever has them may die yet
                self._tell(trial, None)
                return False
            return True
        self._repeats = 0
        self._begin(trial, point)
        return True

    def _has_room(self) -> bool:
        if self.claims.count() < self.budget:
            return True
        # else only points of dead trials are left to do
        return any(trial.state is TrialState.WAITING for trial in self._trials())

    def _begin(self, trial: Trial, point: Point) -> None:
        folder = self.folder / f"{trial.number:05d}"
        folder.mkdir(parents=True, exist_ok=True)
        request = self.request | {"settings": self.space.settings(point), "seed": self.seed}
        (folder / "request.json").write_text(json.dumps(request, indent=1))
        self.running.append(Running(trial, point, Worker(self.work, folder, self.time_limit)))

    def _answer_or_take_over(self, trial: Trial, point: Point, holder: int) -> int | None:
        """Who has the point now, `trial` where the holder has died; otherwise the trial has been told what is known."""
        earlier = self.storage.get_trial(self._id(holder))
        if earlier.state is TrialState.COMPLETE:
            trial.set_user_attr(REPEAT_OF, holder)
            trial.set_user_attr(MEASURED, earlier.user_attrs[MEASURED])
            self.study.tell(trial, earlier.values)
        elif earlier.state is TrialState.FAIL and FAILURE not in earlier.user_attrs:
            if self.claims.take_over(point, holder, trial.number):
                return trial.number
            self.study.tell(trial, state=TrialState.FAIL)
        else:
            trial.set_user_attr(REPEAT_OF, holder)
            self.study.tell(trial, state=TrialState.FAIL)
        return holder

    def _propose_untried(self) -> None:
        chosen = self.space.untried(self.claims.points(), self.seed)
        if chosen is not None:
            self.study.enqueue_trial(self.space.parameters(chosen))
        self._repeats = 0

    def _finish_those_done(self) -> bool:
        done = [running for running in self.running if running.worker.is_done]
        for running in done:
            try:
                self._finish(running)
            except Failed as failed:
                if failed.transient and running.attempts == 1:
                    running.worker = Worker(self.work, running.worker.folder, self.time_limit)
                    running.attempts += 1
                    continue
                running.trial.set_user_attr(FAILURE, failed.reason)
                self._tell(running.trial, None)
            self.running.remove(running)
            self.progress(len(tried(self._trials(), self.space)))
        return bool(done)

    def _finish(self, running: Running) -> None:
        found = running.worker.result()
        values = found["values"]
        running.trial.set_user_attr(MEASURED, values)
        running.trial.set_user_attr("folder", str(running.worker.folder))
        self._tell(running.trial, [values[name] for name in self.objectives])

    def _tell(self, trial: Trial, values: list[float] | None) -> None:
        # Finished already: somebody took us for dead, and has the point trained again.
        with suppress(UpdateFinishedTrialError):
            self.study.tell(trial, values, state=None if values else TrialState.FAIL)

    def _stop(self) -> None:
        for running in self.running:
            running.worker.stop()
        for running in self.running:
            self._tell(running.trial, None)
            enqueue_again(self.study, self.storage.get_trial(self._id(running.trial.number)))
        self.running.clear()
