"""EBOPs of graphs small enough to count by hand."""

import pytest
import torch

from jetformer_compress.ebops import ebops, ebops_by_operation, mean_bits
from jetformer_model.fixed_point import FixedPointNetwork
from jetformer_model.graph_builder import GraphBuilder


def network_of(build: GraphBuilder, formats: dict[str, list[int]]) -> FixedPointNetwork:
    graph, tensors = build.finish()
    network = FixedPointNetwork(graph, {"name": "none"}, tensors)
    network.set_formats({name: torch.tensor(kif) for name, kif in formats.items()})
    return network


def test_a_linear_layer_multiplies_each_weight_with_each_of_its_inputs() -> None:
    build = GraphBuilder(constituents=3, features=2)
    x = build.features().linear("first", torch.zeros(5, 2), torch.zeros(5)).quantised("hidden")
    x.reshape(15).linear("head", torch.zeros(1, 15)).quantised("logits")
    formats = {"features": [[1, 1, 3], [0, 2, 5]], "first.weight": [[[1, 0, 2], [1, 1, 5]]]}
    formats |= {"first.bias": [1, 9, 9], "hidden": [0, 3, 3], "head.weight": [1, 0, 0], "logits": [1, 4, 4]}
    network = network_of(build, formats)  # type: ignore[arg-type]
    costs = ebops_by_operation(network)
    assert costs["first"].item() == 3 * 5 * (4 * 2 + 7 * 6)
    assert costs["head"].item() == 0  # weights of no bits but the sign are pruned
    assert (costs["hidden"].item(), costs["logits"].item()) == (15 * 6, 8)  # rounding
    assert ebops(network).item() == 750 + 15 * 6 + 8
    weights, activations = mean_bits(network)
    assert weights == pytest.approx((5 * 3 + 5 * 7 + 15 * 1) / 25)
    assert activations == pytest.approx((3 * 5 + 3 * 7 + 15 * 6 + 9) / 22)


def test_products_of_variables_and_tables() -> None:
    build = GraphBuilder(constituents=3, features=2)
    x = build.features()
    square = (x @ x.transpose(1, 0)).quantised("square", along=[])
    share = square.table("share", "reciprocal")
    signed = (square * share) * build.constant("sign", torch.ones(1))
    signed.sum(0).quantised("logits")
    formats = {"features": [1, 1, 3], "square": [0, 2, 6], "share": [0, 0, 5], "sign": [1, 1, 0]}
    costs = ebops_by_operation(network_of(build, formats | {"logits": [1, 4, 4]}))
    assert costs["matmul_1"].item() == 9 * 2 * 4 * 4
    assert costs["share"].item() == 9 * 2 ** (8 - 6) * 5
    assert costs["multiply_1"].item() == 9 * 8 * 5
    assert costs["multiply_2"].item() == 0  # a sign is free


def test_widths_are_followed_through_all_that_moves_or_adds_numbers() -> None:
    """Each number keeps its bits; a sum of two has one integer bit more than the wider, a sum of five three more."""
    build = GraphBuilder(constituents=5, features=2)
    x = build.features()
    moved = build.concatenate([x[:2], x[2:]], axis=0).transpose(1, 0).reshape(10).relu()
    other = (x + x).sum(0).gated(build.constant("one", torch.ones(2)))
    moved.linear("a", torch.zeros(1, 10)).quantised("b")
    other.linear("c", torch.zeros(1, 2)).quantised("logits")
    formats = {"features": [[1, 1, 3], [0, 2, 5]], "a.weight": [[[1, 1, 0]]], "c.weight": [[[1, 1, 0]]]}
    formats |= {"b": [1, 1, 1], "one": [0, 1, 0], "logits": [1, 4, 4]}  # type: ignore[dict-item]
    costs = ebops_by_operation(network_of(build, formats))  # type: ignore[arg-type]
    assert costs["a"].item() == 5 * 4 + 5 * 7
    assert costs["c"].item() == (4 + 4) + (7 + 4)
    assert costs["sum_1"].item() == 5 * (5 + 8)  # each number of x + x
