import json
from typing import Any

import numpy as np
import pytest

from jetformer_model.errors import ModelError
from jetformer_model.graph import Graph, Operation
from jetformer_model.graph_builder import GraphBuilder


def sizes(*shape: int) -> Any:
    return np.zeros(shape)


def small() -> tuple[Graph, dict[str, Any]]:
    """Distinct primes for all sizes: P = 5, F = 3, hidden 7, C = 2."""
    build = GraphBuilder(constituents=5, features=3)
    h = build.features().linear("embedding", sizes(7, 3), sizes(7)).relu().quantised("hidden")
    pooled = h.gated(build.mask().reshape(5, 1)).sum(axis=0).quantised("pooled")
    pooled.linear("head", sizes(2, 7), sizes(2)).quantised("logits")
    return build.finish()


def test_a_graph_written_as_its_equations_has_their_shapes() -> None:
    graph, tensors = small()
    assert graph.shapes["embedding"] == (5, 7)
    assert (graph.shapes["pooled"], graph.shapes["logits"]) == ((7,), (2,))
    assert {name: tensor.shape for name, tensor in tensors.items()} == graph.parameter_shapes()
    assert [operation.op for operation in graph.operations[-3:]] == ["quantise", "linear", "quantise"]


def test_a_graph_survives_json() -> None:
    graph, _ = small()
    assert Graph.from_json(json.loads(json.dumps(graph.to_json()))) == graph


def test_attention_in_heads() -> None:
    build = GraphBuilder(constituents=5, features=6)
    x = build.features()
    with build.scope("attention"):
        q, k, v = (x.linear(n, sizes(14, 6)).reshape(5, 2, 7).transpose(1, 0, 2) for n in "qkv")
        score = (q @ k.transpose(0, 2, 1)).quantised("score", along=[0])
        assert score.shape == (2, 5, 5)
        far = (score.maximum(2, build.mask().reshape(1, 1, 5), keep=True) - score).quantised(
            "exponent", along=[]
        )
        weight = far.table("exp", "exp").gated(build.mask().reshape(1, 1, 5))
        assert (weight.sum(2).shape, weight.sum(2, keep=True).shape) == ((2, 5), (2, 5, 1))
        assert (weight @ v).shape == (2, 5, 7)
    assert weight.name == "attention.gate_1"
    assert x[1:3, :2].shape == (2, 2)
    assert build.concatenate([x, x[:1]], axis=0).shape == (6, 6)
    ((weight @ v)[0:1, 0:1].reshape(7) * build.constant("two", sizes(1))).quantised("logits")
    assert build.finish()[0].table_indices == {"attention.exponent"}


@pytest.mark.parametrize(
    ("operations", "sentence"),
    (
        ([("sin", "a", [])], "'a': unknown operation 'sin'"),
        ([("relu", "a", ["b"])], "'a': its source 'b' is no operation before it"),
        ([("parameter", "a", [], {"shape": [2]})] * 2, "'a': there is one of this name already"),
        ([("parameter", "a", [])], "the attribute 'shape' is missing"),
        (
            [("parameter", "a", [], {"shape": [2]}), ("add", "b", ["a"])],
            r"'b' \(add\): expected 2 sources, got 1",
        ),
        (
            [("parameter", "a", [], {"shape": [2]}), ("table", "b", ["a"])],
            "expected a 'quantise' as its source",
        ),
        ([("mask", "m", [], {"shape": [2]})], "expected the name 'mask'"),
        ([("parameter", "a", [], {"shape": [2]})], "the name 'logits'"),
        ([("parameter", "a", [], {"shape": [0]})], "whole sizes of at least 1"),
    ),
)
def test_what_is_no_graph_is_refused(operations: list[Any], sentence: str) -> None:
    with pytest.raises(ModelError, match=sentence):
        Graph(tuple(Operation(op, name, tuple(of), *rest) for op, name, of, *rest in operations))


@pytest.mark.parametrize(
    ("op", "shapes", "attributes", "sentence"),
    (
        ("add", ((2, 3), (2,)), {}, "broadcast"),
        ("matmul", ((2, 3), (2, 3)), {}, "a right factor"),
        ("gate", ((3,), (2, 3)), {}, "a mask that fits"),
        ("sum", ((3,),), {"axis": 1}, "an axis from 0 to 0"),
        ("reshape", ((6,),), {"shape": [4]}, "a shape of 6 numbers"),
        ("transpose", ((2, 3),), {"axes": [0, 0]}, "each axis"),
        ("slice", ((3,),), {"axis": 0, "start": 1, "stop": 4}, "inside 0 to 3"),
        ("concatenate", ((2, 3), (2, 4)), {"axis": 0}, "but for axis 0"),
        ("maximum", ((2,),) * 3, {"axis": 0}, "one or two sources"),
    ),
)
def test_shapes_that_do_not_go_together_are_refused(
    op: str, shapes: tuple[tuple[int, ...], ...], attributes: dict[str, Any], sentence: str
) -> None:
    build = GraphBuilder(constituents=2, features=2)
    sources = [build.parameter(f"p{i}", sizes(*shape)) for i, shape in enumerate(shapes)]
    with pytest.raises(ModelError, match=sentence):
        build.operation(op, sources, "broken", **attributes)
