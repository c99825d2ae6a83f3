import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from jetformer_model.errors import ModelError
from jetformer_model.fixed_point import FixedPointAttention, FixedPointLinear, Quantiser

formats = st.tuples(st.integers(0, 1), st.integers(-3, 6), st.integers(-3, 9))
numbers = st.floats(-300, 300, width=32)


def quantiser(*kif: int) -> Quantiser:
    made = Quantiser()
    made.set_format(torch.tensor(kif))
    return made


def exact(x: float, k: int, i: int, f: int) -> Fraction:
    """The definition of docs/interfaces/model-state.md in rational arithmetic."""
    if k + i + f <= 0:
        return Fraction(0)
    n = math.floor(Fraction(x) * Fraction(2) ** f + Fraction(1, 2))
    n = max(-k * 2 ** (i + f), min(n, 2 ** (i + f) - 1))
    return Fraction(n) / Fraction(2) ** f


@given(kif=formats, x=numbers)
@settings(max_examples=500, deadline=None)
def test_quantiser_is_its_definition(kif: tuple[int, int, int], x: float) -> None:
    assert Fraction(quantiser(*kif)(torch.tensor(x).double()).item()) == exact(x, *kif)


@given(kif=formats, x=numbers)
@settings(max_examples=200, deadline=None)
def test_quantising_twice_is_quantising_once(kif: tuple[int, int, int], x: float) -> None:
    once = quantiser(*kif)(torch.tensor(x).double())
    assert torch.equal(quantiser(*kif)(once), once)


def test_ties_round_up_and_the_range_saturates() -> None:
    x = torch.tensor([0.25, -0.25, 0.75, 9.0, -9.0, 1.7], dtype=torch.float64)
    assert quantiser(1, 1, 1)(x).tolist() == [0.5, 0.0, 1.0, 1.5, -2.0, 1.5]


def test_formats_broadcast_over_channels() -> None:
    made = Quantiser()
    made.set_format(torch.tensor([[1, 2, 0], [1, 2, 2], [0, 1, 1]]))
    assert made(torch.tensor([[1.3, 1.3, 1.3]]).double()).tolist() == [[1.0, 1.25, 1.5]]


def test_gradient_passes_inside_the_range_and_stops_outside() -> None:
    x = torch.tensor([0.3, 5.0, -5.0], requires_grad=True)
    quantiser(1, 1, 2)(x).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [1.0, 0.0, 0.0]


def test_an_unset_quantiser_records_the_range_it_sees() -> None:
    made, x = Quantiser(), torch.tensor([[1.0, -2.0], [3.0, 5.0]])
    assert torch.equal(made(x), x)
    made(torch.tensor([[-7.0, 0.0]]))
    assert made.low_seen is not None
    assert made.high_seen is not None
    assert (made.low_seen.tolist(), made.high_seen.tolist()) == ([-7.0, -2.0], [3.0, 5.0])


def test_a_linear_layer_computes_with_its_rounded_weights() -> None:
    layer = FixedPointLinear(2, 1)
    layer.weight.data = torch.tensor([[0.6, -0.9]])
    layer.bias.data = torch.tensor([0.3])  # type: ignore[union-attr]
    layer.weight_format.set_format(torch.tensor([1, 0, 1]))
    layer.bias_format.set_format(torch.tensor([1, 0, 2]))
    assert layer(torch.tensor([[1.0, 1.0]]).double()).tolist() == [[0.5 - 1.0 + 0.25]]


def attention(exponent: tuple[int, int, int], total: tuple[int, int, int]) -> FixedPointAttention:
    made = FixedPointAttention(2, 2, 1)
    made.exponent.set_format(torch.tensor(exponent))
    made.sum.set_format(torch.tensor(total))
    made.exp.set_format(torch.tensor([0, 0, 6]))
    made.reciprocal.set_format(torch.tensor([0, 0, 7]))
    return made


def test_tables_hold_the_rounded_functions() -> None:
    made = attention((0, 2, 2), (0, 2, 1))
    made.build_tables()
    exps = [min(math.floor(math.exp(-n / 4) * 64 + 0.5), 63) / 64 for n in range(16)]
    assert made.exp_table.tolist() == exps
    reciprocals = [min(math.floor(2 / max(n, 1) * 128 + 0.5), 127) / 128 for n in range(8)]
    assert made.reciprocal_table.tolist() == reciprocals


@pytest.mark.parametrize("kif", ((1, 2, 2), (0, 9, 9), (0, -3, 3)))
def test_a_table_needs_an_unsigned_index_of_sensible_width(kif: tuple[int, int, int]) -> None:
    with pytest.raises(ModelError, match="unsigned format of 1 to 16 bits"):
        attention(kif, (0, 2, 1)).build_tables()


def test_evaluation_is_exact_whatever_the_order_of_jets() -> None:
    """Float64 sums of this network are exact, so batching cannot change a bit."""
    rng = np.random.default_rng(5)
    layer = FixedPointLinear(31, 3)
    layer.weight.data = torch.from_numpy(rng.normal(size=(3, 31))).float()
    layer.weight_format.set_format(torch.tensor([1, 2, 9]))
    layer.bias_format.set_format(torch.tensor([1, 2, 9]))
    x = quantiser(1, 6, 9)(torch.from_numpy(rng.normal(size=(17, 31)) * 20))
    assert torch.equal(layer(x)[3:5], layer(x[3:5]))
