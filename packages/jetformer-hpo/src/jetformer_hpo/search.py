"""The search: a sampler proposes points, processes of their own train them, and no point is trained twice.

Any number of searches may work on one study at the same time, on one machine (SQLite) or on many (PostgreSQL). Whichever
is killed, at most the trials that it was running are begun again, by itself when it is started anew or by the others.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

from optuna.exceptions import UpdateFinishedTrialError
from optuna.samplers import BaseSampler
from optuna.storages import RDBStorage
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState, create_trial

from jetformer_hpo.claims import Claims
from jetformer_hpo.constraints import Constraint, violations
from jetformer_hpo.proposals import Proposer, Result
from jetformer_hpo.space import Point, Space
from jetformer_hpo.study import FAILURE, LOST, MEASURED, fail_dead_trials, is_spent
from jetformer_hpo.workers import Failed, Work, Worker

# Seconds until the database is looked at again, where others have the rest of the work.
_IDLE = 0.5


@dataclass
class Running:
    """A point at work. `trial`: as the storage names it; `attempts`: how often it was started."""

    trial: int
    point: Point
    worker: Worker
    attempts: int = 1


@dataclass
class Search:
    """A search that is going on.

    storage, study: the database and the study in it
    sampler: proposes the points
    work: does what a trial is, in a process of its own, see `workers`
    request: what each request.json holds besides the point's settings and the seed
    folder: gets a folder for each trial
    trials: different points to try in all
    time_limit: seconds a trial
    constraints: what the sampler is to fulfil
    seed: of the networks' weights and of untried points that are drawn
    progress: told how many points are done
    alive: trials, as the storage names them, for which this process gives signs of life
    """

    storage: RDBStorage
    study: Study
    space: Space
    objectives: Sequence[str]
    sampler: BaseSampler
    work: Work
    request: dict[str, Any]
    folder: Path
    trials: int
    workers: int = 1
    time_limit: float = float("inf")
    constraints: Sequence[Constraint] = ()
    seed: int = 0
    progress: Callable[[int], object] = lambda done: None
    running: list[Running] = field(default_factory=list)
    alive: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.budget = min(self.trials, len(self.space))
        self.study_id = self.storage.get_study_id_from_name(self.study.study_name)
        self.claims = Claims(self.storage.engine, self.study_id)
        self.proposer = Proposer(self.space, self.study.directions, self.sampler, self.constraints, self.seed)

    def run(self) -> None:
        """Go on until the budget is spent. Interrupted, it ends its trials, which are taken up by the next start."""
        over = threading.Event()
        threading.Thread(target=self._keep_alive, args=(over,), daemon=True).start()
        try:
            while self._start_what_there_is() or self.running:
                wait([running.worker.sentinel for running in self.running], _IDLE)
                self._finish_those_done()
        except BaseException:
            self._stop()
            raise
        finally:
            over.set()

    def _keep_alive(self, over: threading.Event) -> None:
        """In a thread of its own: a sampler may think for longer than others are willing to wait for a sign of life."""
        while not over.wait(self.storage.heartbeat_interval):
            with suppress(*LOST):  # whoever uses the database for more will say so
                for trial in list(self.alive):
                    self.storage.record_heartbeat(trial)
                fail_dead_trials(self.study)

    def _start_what_there_is(self) -> bool:
        """Begin trials while there are workers and points for them; False when all points are done."""
        while len(self.running) < self.workers:
            claimed, trials = self.claims.points(), self.study.get_trials(deepcopy=False)
            done = self._learn(claimed, trials)
            self.progress(done)
            if done >= self.budget:
                return False
            if not (self._take_over_a_dead_one(claimed, trials) or self._begin_a_new_one(claimed)):
                break
        return True

    def _learn(self, claimed: dict[Point, int], trials: Sequence[FrozenTrial]) -> int:
        """Tell the proposer what all searches have found; how many points are done."""
        done = 0
        for point, number in claimed.items():
            trial = trials[number]
            done += is_spent(trial)
            self.proposer.learn(point, _result(trial) if is_spent(trial) else None)
        return done

    def _take_over_a_dead_one(self, claimed: dict[Point, int], trials: Sequence[FrozenTrial]) -> bool:
        for point, holder in claimed.items():
            if trials[holder].state is TrialState.FAIL and not is_spent(trials[holder]):
                return self._begin(point, partial(self.claims.take_over, point, holder))
        return False

    def _begin_a_new_one(self, claimed: dict[Point, int]) -> bool:
        if len(claimed) >= self.budget:
            return False
        point = self.proposer.propose()
        return point is not None and self._begin(
            point, lambda trial: self.claims.claim(point, trial, self.budget, len(claimed))
        )

    def _begin(self, point: Point, claim: Callable[[int], bool]) -> bool:
        """Make a trial, and train the point unless somebody else was faster to claim it."""
        template = create_trial(
            state=TrialState.RUNNING,
            params=self.space.parameters(point),
            distributions=self.space.distributions,
            system_attrs=self.proposer.notes(point),
        )
        trial = self.storage.create_new_trial(self.study_id, template)
        # in this order: a claim stands for a trial that will be missed when it falls silent
        self.storage.record_heartbeat(trial)
        self.alive.add(trial)
        number = self.storage.get_trial_number_from_id(trial)
        if not claim(number):
            self._end(trial, {}, None)
            self.proposer.diverge()
            return True
        folder = self.folder / f"{number:05d}"
        folder.mkdir(parents=True, exist_ok=True)
        request = self.request | {"settings": self.space.settings(point), "seed": self.seed}
        (folder / "request.json").write_text(json.dumps(request, indent=1))
        self.running.append(Running(trial, point, Worker(self.work, folder, self.time_limit)))
        return True

    def _finish_those_done(self) -> None:
        for running in [running for running in self.running if running.worker.is_done]:
            try:
                self._finish(running)
            except Failed as failed:
                if failed.transient and running.attempts == 1:
                    running.worker = Worker(self.work, running.worker.folder, self.time_limit)
                    running.attempts += 1
                    continue
                self._end(running.trial, {FAILURE: failed.reason}, None)
            self.running.remove(running)

    def _finish(self, running: Running) -> None:
        values = running.worker.result()["values"]
        if self.constraints:
            self._store_violations(running.trial, values)
        self._end(running.trial, {MEASURED: values}, [values[name] for name in self.objectives])

    def _store_violations(self, trial: int, values: dict[str, float]) -> None:
        with suppress(UpdateFinishedTrialError):
            stored = Trial(self.study, trial)
            for name, violation in violations(self.constraints, values).items():
                stored.set_constraint(name, violation)

    def _end(self, trial: int, found: dict[str, Any], values: list[float] | None) -> None:
        self.alive.discard(trial)
        # Finished already: somebody took us for dead, and has the point trained again.
        with suppress(UpdateFinishedTrialError):
            for name, value in found.items():
                self.storage.set_trial_user_attr(trial, name, value)
            state = TrialState.FAIL if values is None else TrialState.COMPLETE
            self.storage.set_trial_state_values(trial, state, values)

    def _stop(self) -> None:
        for running in self.running:
            running.worker.stop()
        with suppress(*LOST):
            for running in self.running:
                self._end(running.trial, {}, None)
        self.running.clear()


def _result(trial: FrozenTrial) -> Result:
    if trial.state is TrialState.FAIL:
        return Result(None)
    # constraints follow from what was measured
    notes = {name: value for name, value in trial.system_attrs.items() if not name.startswith("constraints")}
    return Result(trial.values, trial.user_attrs[MEASURED], notes)
