import sys

import optuna
import pytest

from jetformer_hpo.constraints import parse
from jetformer_hpo.errors import SearchError
from jetformer_hpo.samplers import NAMES, make_sampler
from jetformer_hpo.space import Space

SPACE = Space.of(
    {"blocks": [1, 2, 3, 4, 5], "embed_dim/heads": ["8/2", "16/2", "32/2"], "dropout": [0.0, 0.05]}
)
INSTALLED = tuple(name for name in NAMES if name != "botorch")


def proposals(sampler, number, constraint=None):
    """Asked and told one after the other; accuracy and cost rise with the blocks."""
    study = optuna.create_study(directions=["maximize", "minimize"], sampler=sampler)
    found = []
    for _ in range(number):
        trial = study.ask(SPACE.distributions)
        point = SPACE.point(trial.params)
        if constraint:
            trial.set_constraint(str(constraint), constraint.violation({"accuracy": point[0] / 7}))
        study.tell(trial, [point[0] / 7, 100 * point[0]])
        found.append(point)
    return found, study


@pytest.mark.parametrize("name", INSTALLED)
def test_the_same_seed_proposes_the_same(name):
    def first(seed):
        return proposals(make_sampler(name, seed=seed, space=SPACE), 29)[0]

    assert first(3) == first(3)
    assert first(3) != first(4)


@pytest.mark.parametrize("name", INSTALLED)
def test_one_point_after_the_other_to_the_last(name):
    found, _ = proposals(make_sampler(name, seed=1, space=SPACE), len(SPACE) + 7)
    assert set(found) <= set(SPACE)


def test_the_grid_proposes_every_point_once():
    found, _ = proposals(make_sampler("grid", seed=5, space=SPACE), len(SPACE))
    assert sorted(found) == sorted(SPACE)
    assert found != list(SPACE)


@pytest.mark.parametrize("name", ("nsga2", "nsga3"))
def test_feasible_points_are_proposed_more_often(name):
    def late(constraint):
        found, _ = proposals(make_sampler(name, seed=2, space=SPACE, population=11), 111, constraint)
        return sum(blocks >= 4 for blocks, *_ in found[-50:])

    assert late(parse("accuracy>=0.5")) > late(None) + 10


def test_start_up_is_random():
    def after(start_up):
        return proposals(make_sampler("tpe", seed=6, space=SPACE, start_up=start_up), 20)[0]

    assert after(20)[:9] == after(9)[:9]
    assert after(20) != after(9)


def test_an_unknown_name():
    with pytest.raises(
        SearchError, match="sampler 'annealing': expected one of nsga2, nsga3, tpe, botorch, random, grid"
    ):
        make_sampler("annealing", seed=0, space=SPACE)


@pytest.mark.parametrize("module", ("botorch", "optuna_integration"))
def test_botorch_without_its_extra(monkeypatch, module):
    other = {"botorch": "optuna_integration", "optuna_integration": "botorch"}[module]
    monkeypatch.setitem(sys.modules, other, sys)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(
        SearchError, match=rf"{module} is not installed.*pip install 'jetformer-hpo\[botorch\]'"
    ):
        make_sampler("botorch", seed=0, space=SPACE)
