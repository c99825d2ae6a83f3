import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from jetformer_model.errors import ModelError
from jetformer_model.fixed_point import FixedPointNetwork
from jetformer_model.graph_builder import GraphBuilder
from jetformer_model.integer_evaluation import integer_logits
from jetformer_model.quantiser import Quantiser
from jetformer_model.testing import example_batch, example_fixed_point_state

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
    made, x = Quantiser(along=(0,)), torch.tensor([[1.0, -2.0], [3.0, 5.0]])
    assert torch.equal(made(x), x)
    made(torch.tensor([[-7.0, 0.0]]))
    assert made.low_seen is not None
    assert made.high_seen is not None
    assert (made.low_seen.tolist(), made.high_seen.tolist()) == ([-7.0, -2.0], [3.0, 5.0])


def network_of(build: GraphBuilder, **formats: tuple[int, int, int]) -> FixedPointNetwork:
    """The graph with the formats given and a wide one for all the rest."""
    graph, tensors = build.finish()
    network = FixedPointNetwork(graph, {"name": "none"}, tensors).eval()
    names = [name for name, _ in network.named_quantisers()]
    network.set_formats(
        {name: torch.tensor(formats.get(name.replace(".", "_"), (1, 9, 12))) for name in names}
    )
    return network


def one(*values: float) -> tuple[torch.Tensor, torch.Tensor]:
    """A batch of one jet with one constituent."""
    return torch.tensor([[values]]), torch.ones(1, 1, dtype=torch.bool)


def test_a_linear_layer_computes_with_its_rounded_weights() -> None:
    build = GraphBuilder(constituents=1, features=2)
    layer = build.features().reshape(2).linear("head", torch.tensor([[0.6, -0.9]]), torch.tensor([0.3]))
    layer.quantised("logits")
    network = network_of(build, head_weight=(1, 0, 1), head_bias=(1, 0, 2))
    assert network(*one(1.0, 1.0)).tolist() == [[0.5 - 1.0 + 0.25]]


def tables(exponent: tuple[int, int, int], total: tuple[int, int, int]) -> FixedPointNetwork:
    build = GraphBuilder(constituents=1, features=1)
    x = build.features().reshape(1)
    exps = x.quantised("exponent", along=[]).table("exp", "exp")
    (exps * x.quantised("total", along=[]).table("reciprocal", "reciprocal")).quantised("logits")
    return network_of(build, exponent=exponent, total=total, exp=(0, 0, 6), reciprocal=(0, 0, 7))


def test_tables_hold_the_rounded_functions() -> None:
    network = tables((0, 2, 2), (0, 2, 1))
    exps = [min(math.floor(math.exp(-n / 4) * 64 + 0.5), 63) / 64 for n in range(16)]
    assert network.table("exp").tolist() == exps
    reciprocals = [min(math.floor(2 / max(n, 1) * 128 + 0.5), 127) / 128 for n in range(8)]
    assert network.table("reciprocal").tolist() == reciprocals
    assert network(*one(1.5)).tolist() == [[math.floor(exps[6] * reciprocals[3] * 2**12 + 0.5) / 2**12]]


@pytest.mark.parametrize("kif", ((1, 2, 2), (0, 9, 9), (0, -3, 3)))
def test_a_table_needs_an_unsigned_index_of_sensible_width(kif: tuple[int, int, int]) -> None:
    with pytest.raises(ModelError, match="unsigned format of 1 to 16 bits"):
        tables(kif, (0, 2, 1))


def test_gradients_pass_through_tables() -> None:
    network = tables((0, 2, 2), (0, 2, 1)).train()
    x, mask = one(1.5)
    network(x.requires_grad_(), mask).sum().backward()
    assert x.grad is not None
    assert x.grad.item() == pytest.approx(-math.exp(-1.5) * 85 / 128 - 14 / 64 / 1.5**2, rel=1e-3)


@pytest.mark.parametrize("seed", (1, 2, 3))
def test_the_network_computes_the_integers_of_the_interface(seed: int) -> None:
    """Against an evaluation in int64 that shares nothing with it but the graph."""
    network = example_fixed_point_state(seed).network
    assert isinstance(network, FixedPointNetwork)
    x, mask = example_batch(40, seed=seed)
    expected = integer_logits(network, x.numpy(), mask.numpy())
    assert (network(x, mask).detach().numpy() == expected).all()
    assert expected.std(axis=0).max() > 0.1


def test_training_computes_nearly_what_evaluation_does() -> None:
    network, (x, mask) = example_fixed_point_state().network, example_batch(40)
    exact = network(x, mask).float()
    torch.testing.assert_close(network.train()(x, mask), exact, rtol=0, atol=1e-4)


def test_what_stands_in_padding_is_never_read() -> None:
    network, (x, mask) = example_fixed_point_state().network, example_batch(40)
    assert torch.equal(network(torch.where(mask.unsqueeze(-1), x, torch.nan), mask), network(x, mask))
    few = mask & (torch.arange(5) < 3)
    assert torch.equal(network(x[:, :3], few[:, :3]), network(x, few))


def test_a_format_that_fits_no_axis_is_refused() -> None:
    network = example_fixed_point_state().network
    assert isinstance(network, FixedPointNetwork)
    formats = {name: quantiser.kif for name, quantiser in network.named_quantisers()}
    with pytest.raises(
        ModelError, match=r"'head.weight': expected leading axes that broadcast .* got \(4,\)"
    ):
        network.set_formats(formats | {"head.weight": torch.zeros(4, 3)})
    with pytest.raises(ModelError, match=r"'logits' is missing"):
        network.set_formats({name: kif for name, kif in formats.items() if name != "logits"})


def test_evaluation_is_exact_whatever_the_order_of_jets() -> None:
    """Float64 sums of this network are exact, so batching cannot change a bit."""
    rng = np.random.default_rng(5)
    build = GraphBuilder(constituents=1, features=31)
    weight = torch.from_numpy(rng.normal(size=(3, 31))).float()
    build.features().reshape(31).linear("head", weight).quantised("logits")
    network = network_of(build, head_weight=(1, 2, 9), features=(1, 6, 9))
    x, mask = torch.from_numpy(rng.normal(size=(17, 1, 31)) * 20).float(), torch.ones(17, 1, dtype=torch.bool)
    assert torch.equal(network(x, mask)[3:5], network(x[3:5], mask[3:5]))
