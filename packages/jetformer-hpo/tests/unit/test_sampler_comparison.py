import math

import numpy as np
import pytest

from jetformer_hpo.constraints import parse
from jetformer_hpo.errors import SearchError
from jetformer_hpo.sampler_comparison import Comparison, Problem, compare, run
from jetformer_hpo.space import Space
from jetformer_hpo.tabulated import Table

OBJECTIVES = ("accuracy", "flops")


def measured_table():
    """Accuracy rises with the logarithm of the cost, dropout lowers it a little."""
    space = Space.of({"blocks": [1, 2, 3, 4, 5], "embed_dim": [8, 16, 32], "dropout": [0.0, 0.05]})
    table = Table(space, {"accuracy": "maximize", "flops": "minimize"}, {})
    for point in space:
        flops = 100 * point[0] * point[1] ** 2
        table.add(point, {"accuracy": 0.1 * math.log10(flops) - point[2], "flops": flops})
    return table


def problem(*constraints):
    return Problem.of(measured_table(), OBJECTIVES, [parse(text) for text in constraints])


@pytest.mark.parametrize("sampler", ("nsga2", "nsga3", "tpe", "random", "grid"))
@pytest.mark.parametrize("constraints", ((), ("accuracy>=0.45",)))
def test_a_run_tries_different_points_up_to_its_budget(sampler, constraints):
    tried = run(sampler, measured_table(), problem(*constraints), 23, seed=3)
    assert len(set(tried)) == len(tried) == 23


@pytest.mark.parametrize("sampler", ("nsga2", "tpe", "random"))
def test_a_run_ends_when_all_points_are_tried(sampler):
    tried = run(sampler, measured_table(), problem(), 1000, seed=3)
    assert sorted(tried) == sorted(measured_table().space)


def test_a_run_is_repeatable():
    runs = [run("nsga2", measured_table(), problem(), 25, seed=seed) for seed in (3, 3, 4)]
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


def test_hypervolume_after_each_trial_by_hand():
    table = measured_table()
    scored = Problem.of(table, OBJECTIVES)
    low, high = math.log10(100 * 64), math.log10(100 * 5 * 1024)
    assert scored.scales["flops"].worst == 100 * 5 * 1024
    assert scored.scales["flops"].best == 100 * 64
    assert scored.scales["accuracy"].worst == pytest.approx(0.1 * low - 0.05)
    middle = {
        "accuracy": 0.1 * low - 0.05 + 0.25 * (0.1 * (high - low) + 0.05),
        "flops": 10 ** ((low + high) / 2),
    }
    cheapest = {"accuracy": 0.1 * low - 0.05, "flops": 100 * 64}
    assert scored.hypervolumes([cheapest, middle]) == pytest.approx([0, 0.125])


def test_a_constraint_is_the_reference_of_its_objective_and_bars_what_misses_it():
    scored = problem("accuracy>=0.45", "flops<=200000")
    assert scored.scales["accuracy"].worst == 0.45
    assert scored.scales["flops"].worst == 200_000
    assert scored.hypervolumes(
        [{"accuracy": 0.449, "flops": 1e4}, {"accuracy": 0.5, "flops": 3e5}]
    ).tolist() == [0, 0]
    assert scored.hypervolumes([{"accuracy": 0.5, "flops": 1e5}])[0] > 0


def test_an_infeasible_point_gains_nothing_however_good():
    scored = problem("flops>=20000")
    assert scored.hypervolumes(
        [{"accuracy": 0.5, "flops": 1e4}, {"accuracy": 0.5, "flops": 2e4}]
    ).tolist() == [
        0,
        scored.hypervolumes([{"accuracy": 0.5, "flops": 2e4}])[0],
    ]
    assert scored.hypervolumes([{"accuracy": 0.5, "flops": 2e4}])[0] > 0.5


def test_all_points_reach_the_highest_hypervolume():
    found = compare(measured_table(), problem(), {"random": 2, "nsga2": 1}, 1000)
    assert found.curves["random"].shape == (2, 30)
    for curves in found.curves.values():
        assert curves[:, -1] == pytest.approx(found.highest)


def test_seeds_differ_and_the_samplers_have_their_own_number():
    told = []
    found = compare(
        measured_table(), problem(), {"random": 3, "tpe": 2}, 12, start_up=5, progress=told.append
    )
    assert told == ["random"] * 3 + ["tpe"] * 2
    assert len(found.curves["random"]) == 3
    assert (found.curves["random"][0] != found.curves["random"][1]).any()


def test_bands_and_summary():
    curves = np.arange(101.0)[:, None] * [1, 2, 3]
    found = Comparison(problem(), {"nsga2": curves}, 1)
    assert found.bands("nsga2").T.tolist() == [[16, 50, 84], [32, 100, 168], [48, 150, 252]]
    assert found.summary([2, 40]) == {"nsga2": {"seeds": 101, "2": {"low": 32, "median": 100, "high": 168}}}


def test_a_table_with_holes():
    table = measured_table()
    del table.rows[(3, 16, 0.0)]
    with pytest.raises(SearchError, match="holds 29 of 30 points"):
        compare(table, problem(), {"random": 1}, 5)


def test_what_is_wrong_with_a_sampler_is_said_before_any_runs():
    told = []
    with pytest.raises(SearchError, match="'luck'"):
        compare(measured_table(), problem(), {"random": 1, "luck": 1}, 5, progress=told.append)
    assert not told


@pytest.mark.parametrize(
    ("objectives", "constraints", "reason"),
    (
        (("accuracy",), (), "two different objectives, got accuracy"),
        (("accuracy", "accuracy"), (), "two different objectives"),
        (("accuracy", "lut"), (), "'lut' is not in the table, which has accuracy, flops"),
        (OBJECTIVES, ("auc>=0.9",), "'auc' is not in the table"),
        (OBJECTIVES, ("accuracy>=0.99",), "no point of the table is feasible"),
    ),
)
def test_problems_that_make_no_sense(objectives, constraints, reason):
    with pytest.raises(SearchError, match=reason):
        Problem.of(measured_table(), objectives, [parse(text) for text in constraints])
