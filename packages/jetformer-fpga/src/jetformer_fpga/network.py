"""The integer network in the middle: a state's graph as typed nodes with intervals, from which every backend starts.

Each operation of the state becomes a few nodes. What the interface leaves open is used to save logic: constants are known,
a distance to a maximum is never negative, and what a gate will replace by 0 may be anything.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .errors import StateError
from .fixed_point import Codes, Format
from .graph import Operation
from .interval import LIMIT, Interval, TooWide
from .nodes import Node, concatenate, constant, gated, linear, looked_up, quantised
from .state import FixedTensor, State


@dataclass(frozen=True)
class Network:
    """Inputs `features [P, F]` and `mask [P]`, output `logits [C]`."""

    features: Node
    mask: Node
    logits: Node

    def nodes(self) -> list[Node]:
        """Every node, sources first."""
        order: dict[int, Node] = {}

        def visit(node: Node) -> None:
            if id(node) not in order:
                for source in node.sources:
                    visit(source)
                order[id(node)] = node

        visit(self.features)
        visit(self.mask)
        visit(self.logits)
        return list(order.values())


def build(state: State) -> Network:
    """The network of a state, operation by operation."""
    return _Translation(state).network()


class _Translation:
    """The nodes made so far, by the name of the operation."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.operations = {operation.name: operation for operation in state.graph}
        shape, fmt = state.input_shape, state.formats["features"]
        self.features = Node("input", Interval.of(fmt, shape), layer="features")
        self.mask = Node("input", Interval.of(Format.of([0, 1, 0]), shape[:1]), layer="mask")
        self.made: dict[str, Node] = {}
        self.scores: dict[
            str, Node
        ] = {}  # the source of a masked maximum, with the lowest code where it is padded

    def network(self) -> Network:
        for operation in self.state.graph:
            sources = [self.made[name] for name in operation.of]
            try:
                node = TRANSLATIONS[operation.op](self, operation, *sources)
            except TooWide as error:
                raise StateError(
                    f"operation '{operation.name}': its exact result needs {error.bits} bits, and the accumulators have "
                    f"{LIMIT}; quantise before it, or narrow the formats of its sources."
                ) from None
            self.made[operation.name] = node
            _label(node, operation.name)
        return Network(self.features, self.mask, self.made["logits"])

    def users(self, name: str) -> list[Operation]:
        return [operation for operation in self.state.graph if name in operation.of]

    def only_gated(self, name: str, mask: str) -> bool:
        """Whether this value is read only, element by element, where `mask` is 1."""
        users = self.users(name) if name != "logits" else []
        return bool(users) and all(
            (user.op == "gate" and user.of == (name, mask))
            or (user.op in ("quantise", "table", "relu") and self.only_gated(user.name, mask))
            for user in users
        )


def _label(node: Node, layer: str) -> None:
    """Nodes that were made on the way belong to the same operation."""
    if not node.layer:
        node.layer = layer
        for source in node.sources:
            _label(source, layer)


def _mask(operation: Operation, mask: Node, x: Node) -> Node:
    """Refuses what is no mask; the same axes as x."""
    i = mask.interval
    if not ((i.fraction == 0) & (i.low >= 0) & (i.high <= 1)).all():
        raise StateError(
            f"operation '{operation.name}': '{operation.of[1]}' is no mask: it may be other than 0 and 1."
        )
    return mask.reshaped(*(1,) * (len(x.shape) - len(mask.shape)), *mask.shape)


def _axis_last(x: Node, axis: int) -> Node:
    axes = [n for n in range(len(x.shape)) if n != axis]
    return x.transposed(*axes, axis)


def _linear(t: _Translation, operation: Operation, x: Node) -> Node:
    weight = t.state.tensors[f"{operation.name}.weight"]
    return linear(x, weight, t.state.tensors.get(f"{operation.name}.bias"))


def _subtract(t: _Translation, operation: Operation, a: Node, b: Node) -> Node:
    first, second = (t.operations[name] for name in operation.of)
    if first.op == "maximum" and first.of[0] == second.name and _is_row(first, second):
        if len(first.of) == 1:
            return (a + -b).unsigned()
        if t.only_gated(operation.name, first.of[1]):
            return (a + -t.scores[first.name]).unsigned()
    return a + -b


def _is_row(maximum: Operation, x: Operation) -> bool:
    """Whether an element of x minus this maximum meets the maximum of its own row."""
    axis = maximum.attributes["axis"]
    return maximum.shape == (*x.shape[:axis], 1, *x.shape[axis + 1 :])


def _matmul(t: _Translation, operation: Operation, a: Node, b: Node) -> Node:
    across = b.transposed(*range(len(b.shape) - 2), len(b.shape) - 1, len(b.shape) - 2)
    if a.op == "constant" and len(a.shape) == 2:
        return linear(across, _tensor(a), None).transposed(1, 0)
    if b.op == "constant" and len(b.shape) == 2:
        return linear(a, _tensor(across), None)
    return (a[..., :, None, :] * across[..., None, :, :]).total()


def _tensor(node: Node) -> FixedTensor:
    """A constant as the weights of a linear node: only its steps matter."""
    i = node.interval
    return FixedTensor(i.low, Format(np.ones_like(i.low), np.full_like(i.low, 62), i.fraction))


def _maximum(t: _Translation, operation: Operation, x: Node, mask: Node | None = None) -> Node:
    axis = operation.attributes["axis"]
    if mask is None:
        return _axis_last(x, axis).maximum().reshaped(*operation.shape)
    mask = _mask(operation, mask, x)
    lowest = _lowest(x.interval, axis)
    score = t.scores[operation.name] = gated(x, mask, lowest)
    greatest = _kept(score, axis)
    if lowest.any() and not _never_empty(mask, axis):
        anyone = _kept(mask, axis)
        greatest = gated(greatest, anyone, np.zeros_like(greatest.interval.low))
    return greatest.reshaped(*operation.shape)


def _lowest(i: Interval, axis: int) -> Codes:
    """Codes, on the grid of each element, of a number that is neither above 0 nor above any other of its row."""
    finest = np.broadcast_to(i.fraction.max(axis=axis, keepdims=True), i.shape)
    row = np.minimum(i.on(finest).low.min(axis=axis, keepdims=True), 0)
    return row >> (finest - i.fraction)


def _kept(x: Node, axis: int) -> Node:
    """The maximum over an axis that stays, with length 1."""
    shape = (*x.shape[:axis], 1, *x.shape[axis + 1 :])
    return _axis_last(x, axis).maximum().reshaped(*shape)


def _never_empty(mask: Node, axis: int) -> bool:
    return bool((mask.interval.low.max(axis=axis) == 1).all())


def _gate(t: _Translation, operation: Operation, x: Node, mask: Node) -> Node:
    return gated(x, _mask(operation, mask, x), np.zeros_like(x.interval.low))


def _slice(t: _Translation, operation: Operation, x: Node) -> Node:
    axis, start, stop = (operation.attributes[key] for key in ("axis", "start", "stop"))
    return x[(slice(None),) * axis + (slice(start, stop),)]


def _concatenate(t: _Translation, operation: Operation, *sources: Node) -> Node:
    axis = operation.attributes["axis"]
    axes = list(range(len(operation.shape)))
    first = [axis, *axes[:axis], *axes[axis + 1 :]]
    joined = concatenate([source.transposed(*first) for source in sources])
    return joined.transposed(*np.argsort(first).tolist())


TRANSLATIONS: dict[str, Callable[..., Node]] = {
    "features": lambda t, o: t.features,
    "mask": lambda t, o: t.mask,
    "parameter": lambda t, o: constant(t.state.tensors[o.name]),
    "linear": _linear,
    "add": lambda t, o, a, b: a + b,
    "subtract": _subtract,
    "multiply": lambda t, o, a, b: a * b,
    "matmul": _matmul,
    "relu": lambda t, o, x: x.relu(),
    "sum": lambda t, o, x: _axis_last(x, o.attributes["axis"]).total().reshaped(*o.shape),
    "maximum": _maximum,
    "gate": _gate,
    "quantise": lambda t, o, x: quantised(x, t.state.formats[o.name]),
    "table": lambda t, o, x: looked_up(x, t.state.tensors[f"{o.name}.entries"]),
    "reshape": lambda t, o, x: x.reshaped(*o.shape),
    "transpose": lambda t, o, x: x.transposed(*o.attributes["axes"]),
    "slice": _slice,
    "concatenate": _concatenate,
}
