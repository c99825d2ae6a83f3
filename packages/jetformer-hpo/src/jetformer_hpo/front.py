"""What a search found: candidates, and those of them that nothing beats in all objectives at once."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jetformer_hpo.errors import SearchError


@dataclass(frozen=True)
class Goal:
    """An objective and which way it should go."""

    name: str
    maximise: bool

    @property
    def sign(self) -> int:
        """What a value is multiplied with so that more is worse."""
        return -1 if self.maximise else 1


@dataclass(frozen=True)
class Candidate:
    """A trained point.

    trial: its number in the study
    settings: what the point sets
    measured: values by the name of the quantity, objectives among them
    confirmed: those of trainings with other seeds, by seed
    seed: of the trial's own training
    """

    trial: int
    settings: Mapping[str, Any]
    measured: Mapping[str, float]
    confirmed: Mapping[int, Mapping[str, float]] = field(default_factory=dict)
    seed: int = 0

    def again(self, name: str) -> Repeated | None:
        """A quantity of the trainings with other seeds, if there are any."""
        values = [measured[name] for measured in self.confirmed.values() if name in measured]
        return Repeated(tuple(values)) if values else None


@dataclass(frozen=True)
class Repeated:
    """A quantity that was measured with several seeds."""

    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Over the seeds."""
        return float(np.mean(self.values))

    @property
    def error(self) -> float:
        """Of the mean, from the spread of the values; NaN for a single one."""
        if len(self.values) < 2:
            return math.nan
        return float(np.std(self.values, ddof=1) / math.sqrt(len(self.values)))


def badness(candidates: Sequence[Candidate], goals: Sequence[Goal]) -> NDArray[np.float64]:
    """[candidates, goals]; less is better."""
    rows = [[goal.sign * candidate.measured[goal.name] for goal in goals] for candidate in candidates]
    return np.array(rows, dtype=np.float64).reshape(len(candidates), len(goals))


def pareto(candidates: Iterable[Candidate], goals: Sequence[Goal]) -> list[Candidate]:
    """The candidates that no other dominates: none is as good in all goals and better in one. Cheapest first.

    >>> goals = [Goal("accuracy", True), Goal("flops", False)]
    >>> tried = [Candidate(0, {}, {"accuracy": 0.6, "flops": 10}), Candidate(1, {}, {"accuracy": 0.5, "flops": 20})]
    >>> [best.trial for best in pareto(tried, goals)]
    [0]
    """
    tried = list(candidates)
    bad = badness(tried, goals)
    best = [
        candidate
        for candidate, row in zip(tried, bad, strict=True)
        if not ((bad <= row).all(axis=1) & (bad < row).any(axis=1)).any()
    ]
    costs = [goal for goal in goals if not goal.maximise] or list(goals)
    return sorted(best, key=lambda one: (costs[0].sign * one.measured[costs[0].name], one.trial))


def smallest(feasible: Sequence[Candidate], goals: Sequence[Goal]) -> Candidate:
    """The one with the least of the first cost; among equals, the best in the other goals, in their order.

    Raises SearchError if no goal is a cost.
    """
    costs = [goal for goal in goals if not goal.maximise]
    if not costs:
        raise SearchError(
            "smallest-feasible: none of the objectives is a cost, so nothing is small; pick knee or N"
        )
    order = [costs[0], *(goal for goal in goals if goal != costs[0])]
    return min(feasible, key=lambda one: [goal.sign * one.measured[goal.name] for goal in order])


def knee(front: Sequence[Candidate], goals: Sequence[Goal]) -> Candidate:
    """The one that is farthest from the line between the front's ends, towards the better; among equals the first.

    Axes run from the worst on the front (0) to the best (1), those of costs logarithmically where all are above 0. So the
    ends of two goals are (0, 1) and (1, 0), the distance is (x + y - 1) / sqrt(2), and the sum decides for any number of
    goals: the distance from the plane through (1, 0, 0, ...), (0, 1, 0, ...), ...
    """
    gains = np.zeros(len(front))
    for goal in goals:
        values = np.array([one.measured[goal.name] for one in front], dtype=np.float64)
        if not goal.maximise and (values > 0).all():
            values = np.log(values)
        bad = goal.sign * values
        if np.ptp(bad) > 0:
            gains += (bad.max() - bad) / np.ptp(bad)
    return front[int(np.argmax(np.round(gains, 12)))]
