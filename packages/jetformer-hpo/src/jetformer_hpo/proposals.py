"""What to try next: a sampler, asked in memory, where a proposal costs a millisecond, until it names a point that is new."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import optuna
from optuna.samplers import BaseSampler
from optuna.study import StudyDirection
from optuna.trial import Trial, TrialState, create_trial

from jetformer_hpo.constraints import Constraint, violations
from jetformer_hpo.space import Point, Space
from jetformer_hpo.study import Direction

# After so many proposals in a row of points already known, an untried one is drawn at random. Ten do no better on the table
# that ships (40 seeds), and a Gaussian process takes seconds for each.
PATIENCE = 3


@dataclass(frozen=True)
class Result:
    """Of a point. `values`: its objectives in order, None if it failed; `measured`: all that was, for constraints.

    attributes: what the sampler noted at the proposal, where that was made by another search
    """

    values: Sequence[float] | None
    measured: Mapping[str, float] = field(default_factory=dict)
    attributes: Mapping[str, Any] = field(default_factory=dict)


class Proposer:
    """Proposes each point once. A sampler that names a known point is told what came of it, and asked again.

    known: the result of every point that was ever proposed or learnt, None while it is at work
    """

    def __init__(
        self,
        space: Space,
        directions: Sequence[Direction | StudyDirection],
        sampler: BaseSampler,
        constraints: Sequence[Constraint] = (),
        seed: int = 0,
    ) -> None:
        self.space = space
        self.constraints = constraints
        self.seed = seed
        self.known: dict[Point, Result | None] = {}
        self._study = optuna.create_study(directions=directions, sampler=sampler)
        self._asked: dict[Point, Trial] = {}

    def propose(self) -> Point | None:
        """A point that is not known, and counts as at work from now on; None if there is none left."""
        for _ in range(PATIENCE):
            trial, point = self._ask()
            if point not in self.known:
                return self._at_work(trial, point)
            self._tell(trial, self.known[point])
        untried = self.space.untried(self.known, self.seed)
        if untried is None:
            return None
        self._study.enqueue_trial(self.space.parameters(untried))
        return self._at_work(*self._ask())

    def learn(self, point: Point, result: Result | None) -> None:
        """What came of a point, proposed here or elsewhere; None: somebody is at work on it."""
        if self.known.get(point) is not None:
            return
        self.known[point] = result
        if result is None:
            return
        if trial := self._asked.pop(point, None):
            self._tell(trial, result)
        elif result.values is not None:
            self._study.add_trial(
                create_trial(
                    values=result.values,
                    params=self.space.parameters(point),
                    distributions=self.space.distributions,
                    constraints=violations(self.constraints, result.measured),
                    system_attrs=dict(result.attributes),
                )
            )

    def diverge(self) -> None:
        """Go another way by chance: somebody with the same seed proposes the same."""
        self._study.sampler.reseed_rng()
        self.seed = int.from_bytes(os.urandom(4))

    def notes(self, point: Point) -> dict[str, Any]:
        """What the sampler noted about a point that was proposed here and is at work: to be kept with its trial."""
        trial = self._asked.get(point)
        return {} if trial is None else dict(trial.storage.get_trial_system_attrs(trial._trial_id))

    def _ask(self) -> tuple[Trial, Point]:
        trial = self._study.ask(self.space.distributions)
        return trial, self.space.point(trial.params)

    def _at_work(self, trial: Trial, point: Point) -> Point:
        self._asked[point] = trial
        self.known[point] = None
        return point

    def _tell(self, trial: Trial, result: Result | None) -> None:
        if result is None or result.values is None:
            self._study.tell(trial, state=TrialState.FAIL)
            return
        for name, violation in violations(self.constraints, result.measured).items():
            trial.set_constraint(name, violation)
        self._study.tell(trial, list(result.values))
