"""Each point is proposed once, whatever the sampler names."""

from collections.abc import Iterator
from typing import Any

import optuna
import pytest
from optuna.samplers import RandomSampler

from jetformer_hpo.constraints import parse
from jetformer_hpo.proposals import PATIENCE, Proposer, Result
from jetformer_hpo.samplers import make_sampler
from jetformer_hpo.space import Point, Space

SPACE = Space.of({"blocks": [1, 2, 3, 4, 5], "embed_dim": [8, 16, 32], "dropout": [0.0, 0.05]})
DIRECTIONS = ("maximize", "minimize")


def result(point: Point) -> Result:
    blocks = int(point[0])
    return Result([blocks / 7, 100.0 * blocks], {"accuracy": blocks / 7})


def told(proposer: Proposer) -> Iterator[Point]:
    while (point := proposer.propose()) is not None:
        proposer.learn(point, result(point))
        yield point


class Stubborn(RandomSampler):
    """Names the same point for ever."""

    asked = 0

    def sample_independent(self, study: Any, trial: Any, name: str, distribution: Any) -> Any:
        self.asked += 1
        return {"blocks": 3, "embed_dim": 16, "dropout": 0.05}[name]


@pytest.mark.parametrize("name", ("nsga2", "nsga3", "tpe", "random", "grid"))
def test_every_point_is_proposed_once(name: str) -> None:
    found = list(told(Proposer(SPACE, DIRECTIONS, make_sampler(name, seed=3, space=SPACE))))
    assert sorted(found) == sorted(SPACE)


def test_an_untried_point_is_drawn_where_the_sampler_repeats_itself() -> None:
    stubborn = Stubborn()
    proposer = Proposer(SPACE, DIRECTIONS, stubborn)
    found = [point for _, point in zip(range(4), told(proposer), strict=False)]
    assert found[0] == (3, 16, 0.05)
    assert len(set(found)) == 4
    assert stubborn.asked == 3 * (1 + 3 * PATIENCE)  # three axes; three points are drawn


def test_a_point_at_work_elsewhere_is_not_proposed() -> None:
    proposer = Proposer(SPACE, DIRECTIONS, Stubborn())
    proposer.learn((3, 16, 0.05), None)
    assert proposer.propose() != (3, 16, 0.05)


def test_what_others_found_reaches_the_sampler_with_its_constraints() -> None:
    class Watching(RandomSampler):
        def sample_relative(self, study: Any, trial: Any, search_space: Any) -> dict[str, Any]:
            self.seen = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
            return {}

        def infer_relative_search_space(self, study: Any, trial: Any) -> Any:
            return SPACE.distributions

    sampler = Watching(seed=2)
    proposer = Proposer(SPACE, DIRECTIONS, sampler, [parse("accuracy>=0.5")])
    proposer.learn((5, 32, 0.0), result((5, 32, 0.0)))
    mine = proposer.propose()
    assert mine is not None
    proposer.learn(mine, result(mine))
    proposer.learn(mine, Result([0.0, 0.0], {"accuracy": 0.0}))  # told once is told
    proposer.propose()
    seen = {SPACE.point(trial.params): (trial.values, trial.constraints) for trial in sampler.seen}
    assert seen == {
        point: ([point[0] / 7, 100 * point[0]], {"accuracy>=0.5": 0.5 - point[0] / 7})
        for point in ((5, 32, 0.0), mine)
    }
