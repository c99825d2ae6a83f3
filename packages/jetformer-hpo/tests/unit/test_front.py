"""Picks and repeated measurements, by hand."""

from __future__ import annotations

import math

import pytest

from jetformer_hpo.errors import SearchError
from jetformer_hpo.front import Candidate, Goal, Repeated, knee, pareto, smallest

ACCURACY, FLOPS = Goal("accuracy", True), Goal("flops", False)
GOALS = (ACCURACY, FLOPS)


def candidate(trial: int, accuracy: float, flops: float) -> Candidate:
    return Candidate(trial, {}, {"accuracy": accuracy, "flops": flops})


def test_the_knee_is_where_the_gain_for_a_factor_of_cost_ends() -> None:
    # From 10 to 100, 1,000 and 10,000 FLOPs: a straight line in the logarithm would give 0.5, 0.6, 0.7, 0.8.
    front = [candidate(*one) for one in ((3, 0.5, 10), (5, 0.74, 100), (7, 0.79, 1000), (2, 0.8, 10_000))]
    # gains: (0 + 1, 0.24 / 0.3 + 2 / 3, 0.29 / 0.3 + 1 / 3, 1 + 0)
    assert knee(front, GOALS).trial == 5
    # without the logarithm, the third would be: 0.967 + 0.901
    assert knee([front[0], front[2], front[3]], GOALS).trial == 7


def test_a_front_without_a_bend_gives_its_cheapest() -> None:
    line = [candidate(0, 0.5, 10), candidate(1, 0.6, 100), candidate(2, 0.7, 1000)]
    assert knee(line, GOALS).trial == 0
    assert knee(line[1:2], GOALS).trial == 1


def test_costs_of_zero_are_taken_as_they_are() -> None:
    front = [candidate(0, 0.5, 0), candidate(1, 0.7, 10), candidate(2, 0.8, 100)]
    assert knee(front, GOALS).trial == 1


def test_the_smallest_has_the_least_of_the_first_cost_then_the_best_of_the_rest() -> None:
    found = [candidate(0, 0.9, 20), candidate(1, 0.6, 10), candidate(2, 0.7, 10)]
    assert smallest(found, GOALS).trial == 2
    with pytest.raises(SearchError, match="none of the objectives is a cost"):
        smallest(found, (ACCURACY,))


def test_the_front_comes_cheapest_first_and_keeps_equals() -> None:
    found = [candidate(0, 0.9, 30), candidate(1, 0.6, 10), candidate(2, 0.6, 10), candidate(3, 0.6, 11)]
    assert [one.trial for one in pareto(found, GOALS)] == [1, 2, 0]
    assert pareto([], GOALS) == []


def test_the_error_of_a_mean() -> None:
    assert Repeated((1.0, 2.0, 4.0)).mean == pytest.approx(7 / 3)
    # squares of distances: 16/9 + 1/9 + 25/9 = 42/9; over 2 and over 3
    assert Repeated((1.0, 2.0, 4.0)).error == pytest.approx(math.sqrt(42 / 9 / 2 / 3))
    assert math.isnan(Repeated((1.0,)).error)
