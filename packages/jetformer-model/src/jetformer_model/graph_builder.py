"""Graphs in the notation of their equations.

    build = GraphBuilder(constituents=8, features=3)
    h = build.features().linear("embedding", weight, bias).relu().quantised("hidden")
    h.gated(build.mask().reshape(8, 1)).sum(axis=0).linear("head", w, b).quantised("logits")
    graph, tensors = build.finish()

Axes are those of one jet: no jet axis. Weights may be arrays of any library that have a shape.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from jetformer_model.graph import Graph, Operation, shapes_of
from jetformer_model.graph_shapes import Shape


class GraphBuilder:
    """Collects operations and the tensors that they use. Each call raises ModelError if its shapes don't go together."""

    def __init__(self, constituents: int, features: int) -> None:
        self.constituents, self.number_of_features = constituents, features
        self.operations: list[Operation] = []
        self.shapes: dict[str, Shape] = {}
        self.tensors: dict[str, Any] = {}
        self._scope = ""
        self._names: Counter[str] = Counter()

    @contextmanager
    def scope(self, name: str) -> Iterator[None]:
        """All names given inside start with `name` and a dot."""
        outer, self._scope = self._scope, f"{self._scope}{name}."
        try:
            yield
        finally:
            self._scope = outer

    def features(self, along: Sequence[int] = (1,)) -> Node:
        """The normalised, quantised features [P, F]; 0 for padding. along: as of `Node.quantised`."""
        if "features" in self.shapes:
            return Node(self, "features")
        shape = [self.constituents, self.number_of_features]
        return self._add("features", "features", (), {"shape": shape, "along": list(along)})

    def mask(self) -> Node:
        """[P]: 1 for a real constituent, 0 for padding."""
        if "mask" in self.shapes:
            return Node(self, "mask")
        return self._add("mask", "mask", (), {"shape": [self.constituents]})

    def parameter(self, name: str, value: Any) -> Node:
        """A trained tensor."""
        return self._tensor(name, value, {})

    def constant(self, name: str, value: Any) -> Node:
        """A tensor that is not trained and that a number format of 16 bits or fewer holds exactly: signs, powers of two."""
        return self._tensor(name, value, {"constant": True})

    def concatenate(self, parts: Sequence[Node], axis: int) -> Node:
        """The arrays one after the other along `axis`."""
        return self.operation("concatenate", parts, axis=axis)

    def finish(self) -> tuple[Graph, dict[str, Any]]:
        """The graph and its tensors by name."""
        return Graph(tuple(self.operations)), self.tensors

    def operation(self, op: str, sources: Sequence[Node], name: str | None = None, **attributes: Any) -> Node:
        """Any operation of the interface; without a name it gets one that tells its place."""
        if name is None:
            key = f"{self._scope}{op}"
            self._names[key] += 1
            full = f"{key}_{self._names[key]}"
        else:
            full = f"{self._scope}{name}"
        return self._add(op, full, tuple(source.name for source in sources), attributes)

    def _tensor(self, name: str, value: Any, attributes: dict[str, Any]) -> Node:
        node = self.operation("parameter", (), name, shape=[int(size) for size in value.shape], **attributes)
        self.tensors[node.name] = value
        return node

    def _add(self, op: str, name: str, of: tuple[str, ...], attributes: dict[str, Any]) -> Node:
        operation = Operation(op, name, of, attributes)
        self.shapes = shapes_of([*self.operations, operation])
        self.operations.append(operation)
        return Node(self, name)


class Node:
    """What one operation gives."""

    def __init__(self, builder: GraphBuilder, name: str) -> None:
        self.builder, self.name = builder, name

    @property
    def shape(self) -> Shape:
        """Without a jet axis."""
        return self.builder.shapes[self.name]

    def __add__(self, other: Node) -> Node:
        return self._then("add", other)

    def __sub__(self, other: Node) -> Node:
        return self._then("subtract", other)

    def __mul__(self, other: Node) -> Node:
        return self._then("multiply", other)

    def __matmul__(self, other: Node) -> Node:
        return self._then("matmul", other)

    def __getitem__(self, index: slice | tuple[slice, ...]) -> Node:
        node = self
        for axis, part in enumerate(index if isinstance(index, tuple) else (index,)):
            start, stop, step = part.indices(self.shape[axis])
            assert step == 1, "slices have no step"
            if (start, stop) != (0, self.shape[axis]):
                node = node._then("slice", axis=axis, start=start, stop=stop)
        return node

    def linear(self, name: str, weight: Any, bias: Any = None, constant: bool = False) -> Node:
        """W x + b over the last axis; weight [outputs, inputs], bias [outputs] or None. constant: W is not trained."""
        more = {"constant": True} if constant else {}
        node = self.builder.operation(
            "linear", [self], name, outputs=int(weight.shape[0]), bias=bias is not None, **more
        )
        assert weight.shape[1] == self.shape[-1], f"{name}: {tuple(weight.shape)} after {self.shape}"
        self.builder.tensors[f"{node.name}.weight"] = weight
        if bias is not None:
            self.builder.tensors[f"{node.name}.bias"] = bias
        return node

    def relu(self) -> Node:
        """max(x, 0)."""
        return self._then("relu")

    def sum(self, axis: int, keep: bool = False) -> Node:
        """The sum over one axis, kept with length 1 if `keep`."""
        return self._then("sum", axis=axis, keep=keep)

    def maximum(self, axis: int, mask: Node | None = None, keep: bool = False) -> Node:
        """The greatest over one axis among entries whose mask is 1; 0 where there is none."""
        return self._then("maximum", *([mask] if mask else []), axis=axis, keep=keep)

    def gated(self, mask: Node) -> Node:
        """x where the mask is 1, else 0."""
        return self._then("gate", mask)

    def quantised(self, name: str, along: Sequence[int] | None = None) -> Node:
        """Q[name](x). along: the axes along which number formats may differ; the last one if not given."""
        axes = [len(self.shape) - 1] if along is None else list(along)
        return self.builder.operation("quantise", [self], name, along=axes)

    def table(self, name: str, function: str) -> Node:
        """`function` ("exp": e^-x; "reciprocal": 1 / x) looked up at x, which is a `quantised` and not negative."""
        return self.builder.operation("table", [self], name, function=function)

    def reshape(self, *shape: int) -> Node:
        """Row-major."""
        return self._then("reshape", shape=list(shape))

    def transpose(self, *axes: int) -> Node:
        """The axes in a new order."""
        return self._then("transpose", axes=list(axes))

    def _then(self, op: str, *others: Node, **attributes: Any) -> Node:
        return self.builder.operation(op, [self, *others], **attributes)
