"""Samplers side by side: the same budget, many seeds, on a table; judged by hypervolume after each trial.

The rules are those of the search: a point proposed again is answered from what is known and costs no trial; after ten such
proposals in a row an untried point is drawn at random.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jetformer_hpo.constraints import Constraint, feasible
from jetformer_hpo.errors import SearchError
from jetformer_hpo.hypervolume import Scale, growth
from jetformer_hpo.proposals import Proposer, Result
from jetformer_hpo.samplers import START_UP, make_sampler
from jetformer_hpo.space import Point
from jetformer_hpo.study import Direction
from jetformer_hpo.tabulated import Measured, Table

BAND = (0.16, 0.5, 0.84)  # what lies between the outer two is one standard deviation, were it a Gaussian

Curves = NDArray[np.float64]  # hypervolume [seeds, trials]


@dataclass(frozen=True)
class Problem:
    """Two objectives on scales from 0 to 1 (better), and constraints; an infeasible point gains nothing."""

    scales: Mapping[str, Scale]
    directions: tuple[Direction, ...]
    constraints: tuple[Constraint, ...] = ()

    @classmethod
    def of(cls, table: Table, objectives: Sequence[str], constraints: Sequence[Constraint] = ()) -> Problem:
        """Scales from the table's worst to its best feasible value; costs, which are to be small, by their logarithm.

        A constraint on an objective takes the place of the worst value. Raises SearchError unless there are two objectives,
        all in the table.
        """
        if len(objectives) != 2 or len(set(objectives)) != 2:
            raise SearchError(f"hypervolume: expected two different objectives, got {', '.join(objectives)}")
        for name in (*objectives, *(constraint.quantity for constraint in constraints)):
            if name not in table.quantities:
                raise SearchError(f"{name!r} is not in the table, which has {', '.join(table.quantities)}")
        if not any(feasible(constraints, measured) for measured in table.rows.values()):
            raise SearchError("no point of the table is feasible under these constraints")
        scales = {name: _scale(table, name, constraints) for name in objectives}
        directions = tuple(table.quantities[name] for name in objectives)
        return cls(scales, directions, tuple(constraints))

    def values(self, measured: Measured) -> list[float]:
        """As the sampler is told them."""
        return [measured[name] for name in self.scales]

    def hypervolumes(self, measured: Sequence[Measured]) -> NDArray[np.float64]:
        """Of the first 1, 2, ... points; [points]."""
        goodness = [scale([row[name] for row in measured]) for name, scale in self.scales.items()]
        counts = [feasible(self.constraints, row) for row in measured]
        return growth(np.stack(goodness, axis=1) * np.array(counts)[:, None])


@dataclass(frozen=True)
class Comparison:
    """Curves [seeds, trials] of each sampler, and the hypervolume of the whole table, which none can exceed."""

    problem: Problem
    curves: Mapping[str, Curves]
    highest: float

    @property
    def trials(self) -> int:
        """Of each run."""
        return next(iter(self.curves.values())).shape[1]

    def bands(self, sampler: str) -> NDArray[np.float64]:
        """16 %, 50 % and 84 % of the seeds; [3, trials]."""
        return np.quantile(self.curves[sampler], BAND, axis=0)

    def summary(self, at: Sequence[int]) -> dict[str, dict[str, Any]]:
        """For each sampler: its seeds, and low, median and high after so many trials, as far as they were run."""
        found: dict[str, dict[str, Any]] = {}
        for name, curves in self.curves.items():
            band = self.bands(name)
            found[name] = {"seeds": len(curves)} | {
                str(n): dict(zip(("low", "median", "high"), band[:, n - 1].tolist(), strict=True))
                for n in at
                if n <= self.trials
            }
        return found

    def normalisation(self) -> dict[str, Any]:
        """What the hypervolume is measured with."""
        return {
            "reference_point": [0, 0],
            "scales": {name: dataclasses.asdict(scale) for name, scale in self.problem.scales.items()},
            "constraints": [str(constraint) for constraint in self.problem.constraints],
        }


def compare(
    table: Table,
    problem: Problem,
    seeds: Mapping[str, int],
    trials: int,
    *,
    start_up: int = START_UP,
    progress: Callable[[str], object] = bool,
) -> Comparison:
    """Run each sampler with seeds 0, 1, ... of its number of seeds, `trials` different points (or all there are) each.

    progress: told the sampler after each run
    Raises SearchError if the table is not complete, or a sampler cannot be made.
    """
    if not table.complete:
        raise SearchError(
            f"the table holds {len(table.rows)} of {len(table.space)} points; measure the rest with"
            " `jetformer-hpo tabulate`"
        )
    curves = {}
    for sampler, number in seeds.items():
        make_sampler(
            sampler, seed=0, space=table.space
        )  # what is wrong with it is said before the others run
        curves[sampler] = np.zeros((number, min(trials, len(table.space))))
    for sampler, rows in curves.items():
        for seed, row in enumerate(rows):
            row[:] = problem.hypervolumes(
                [table(p) for p in run(sampler, table, problem, trials, seed=seed, start_up=start_up)]
            )
            progress(sampler)
    return Comparison(problem, curves, float(problem.hypervolumes(list(table.rows.values()))[-1]))


def run(
    sampler: str, table: Table, problem: Problem, trials: int, *, seed: int, start_up: int = START_UP
) -> list[Point]:
    """Different points in the order in which they are tried, `trials` or all that there are."""
    chosen = make_sampler(sampler, seed=seed, space=table.space, start_up=start_up)
    proposer = Proposer(table.space, problem.directions, chosen, problem.constraints, seed)
    while len(proposer.known) < min(trials, len(table.space)):
        point = proposer.propose()
        assert point is not None
        proposer.learn(point, Result(problem.values(table(point)), table(point)))
    return list(proposer.known)


def _scale(table: Table, name: str, constraints: Sequence[Constraint]) -> Scale:
    values = [row[name] for row in table.rows.values() if feasible(constraints, row)]
    maximised = table.quantities[name] == "maximize"
    best, worst = (max(values), min(values)) if maximised else (min(values), max(values))
    bounds = [c.bound for c in constraints if c.quantity == name and c.at_least == maximised]
    return Scale((max(bounds) if maximised else min(bounds)) if bounds else worst, best, not maximised)
