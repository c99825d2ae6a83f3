import dataclasses

import pytest

from jetformer_compress.errors import CompressError
from jetformer_compress.pruning_plan import Pruning, plan, step_plan, with_target
from jetformer_model.config import Architecture, preset
from jetformer_model.flops import flops, parameters
from jetformer_model.testing import SMALL


def tiny(blocks: int = 4) -> Architecture:
    return preset("tiny", features=3, classes=5, blocks=blocks)


@pytest.mark.parametrize(("blocks", "expected"), ((4, 13_784), (5, 17_168), (6, 20_552)))
def test_half_of_the_published_models_is_the_published_half(blocks: int, expected: int) -> None:
    assert flops(plan(tiny(blocks), Pruning(0.5))) == expected
    assert flops(plan(tiny(blocks), Pruning(0.5, heads=True))) == expected


def test_parameters_of_the_published_half() -> None:
    assert parameters(plan(tiny(), Pruning(0.5))) == 1_349
    assert parameters(plan(tiny(), Pruning(0.5)), "published") == 1_997


def test_heads_go_whole_or_keep_their_number() -> None:
    inside, whole = plan(tiny(), Pruning(0.5)), plan(tiny(), Pruning(0.5, heads=True))
    assert (inside.heads, inside.attention_dims[0]) == (2, 4)
    assert (whole.heads, whole.attention_dims[0]) == (1, 4)


def test_the_residual_stream_goes_with_the_rest_if_asked_for() -> None:
    assert plan(tiny(), Pruning(0.5)).embed_dim == 8
    assert plan(tiny(), Pruning(0.5, residual=True)).embed_dim == 4


def test_steps_approach_the_plan_and_end_there() -> None:
    pruning = Pruning(0.5, steps=5)
    widths = [step_plan(tiny(), pruning, step).feedforward_dims[0] for step in range(1, 6)]
    assert widths == [14, 13, 11, 10, 8]
    assert step_plan(tiny(), pruning, 5) == plan(tiny(), pruning)


def test_ratios_are_exact_where_binary_fractions_are_not() -> None:
    ten = dataclasses.replace(tiny(1), feedforward_dims=(10,))
    assert plan(ten, Pruning(0.9)).feedforward_dims == (1,)
    assert plan(ten, Pruning(0.35)).feedforward_dims == (6,)
    assert plan(ten, Pruning(0.45)).feedforward_dims == (5,)


def test_one_of_each_layer_stays() -> None:
    left = plan(SMALL, Pruning(0.999, residual=True))
    assert (left.attention_dims, left.feedforward_dims, left.embed_dim) == ((2, 2), (1, 1), 1)


@pytest.mark.parametrize("residual", (False, True))
@pytest.mark.parametrize("target", (13_784, 13_783, 20_000, 24_000))
def test_a_target_is_met_by_the_smallest_ratio_that_meets_it(target: int, residual: bool) -> None:
    how = with_target(tiny(), Pruning(residual=residual), target)
    assert flops(plan(tiny(), how)) <= target
    weaker = dataclasses.replace(how, ratio=how.ratio - 1e-5)
    assert flops(step_plan(tiny(), dataclasses.replace(weaker, steps=1), 1)) > target


@pytest.mark.parametrize(("target", "reason"), ((26_168, "26,168 already"), (100, "as small as")))
def test_targets_out_of_reach_are_refused(target: int, reason: str) -> None:
    with pytest.raises(CompressError, match=reason):
        with_target(tiny(), Pruning(), target)


@pytest.mark.parametrize(
    ("settings", "reason"),
    (
        ({"ratio": 0.0}, "between 0 and 1"),
        ({"ratio": 1.0}, "between 0 and 1"),
        ({"steps": 0}, "at least 1, got 0"),
        ({"importance": "luck"}, "one of taylor, l1, l2"),
        ({"scope": "world"}, "one of layer, global"),
    ),
)
def test_settings_that_cannot_be_are_refused(settings: dict[str, object], reason: str) -> None:
    with pytest.raises(CompressError, match=reason):
        Pruning(**settings)  # type: ignore[arg-type]


def test_a_ratio_that_removes_nothing_is_refused() -> None:
    smallest = dataclasses.replace(SMALL, attention_dims=(2, 2), feedforward_dims=(1, 1))
    with pytest.raises(CompressError, match="removes nothing"):
        plan(smallest, Pruning(0.5))
