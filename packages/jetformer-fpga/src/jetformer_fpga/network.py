"""The fixed-point JetFormer as a typed graph of integer operations: what a backend turns into hardware.

A node is one array of wires. It knows the operation that makes it, the nodes it is made from, and the integer interval of
every element, so that a backend needs no knowledge of Transformers and a reader can see each width. Masks are one-bit
wires, True = real constituent. The last block computes the class token's query alone, since nothing reads the others.

| op | result |
|---|---|
| input | wires from outside |
| constant | fixed codes |
| rearrange | elements of the source in the order of `index` |
| concatenate | sources one after the other along axis 0 |
| linear | `weight @ x + bias` over the last axis |
| add, multiply | element by element, shapes broadcast |
| negate | `-x` |
| total | sum over the last axis |
| maximum | greatest over the last axis |
| gate | `x` where the mask is True, elsewhere `otherwise` |
| unsigned | `x`, known never to be below 0: the sign is dropped |
| relu | `max(x, 0)` |
| quantise | Q: round half up, saturate, to `format` |
| table | `entries[element][x - low]` |
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .fixed_point import Codes, Format
from .interval import Interval
from .state import FixedTensor, State


@dataclass(frozen=True, eq=False)
class Node:
    """One array of wires; `name` is the interface's where it has one."""

    op: str
    interval: Interval
    sources: tuple[Node, ...] = ()
    name: str = ""
    attributes: dict[str, Any] = field(default_factory=dict)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.interval.shape

    def __add__(self, other: Node) -> Node:
        return Node("add", self.interval + other.interval, (self, other))

    def __mul__(self, other: Node) -> Node:
        return Node("multiply", self.interval * other.interval, (self, other))

    def __neg__(self) -> Node:
        return Node("negate", -self.interval, (self,))

    def rearranged(self, index: Codes) -> Node:
        """`index` holds flat positions in this node."""
        i = self.interval
        interval = Interval(i.low.ravel()[index], i.high.ravel()[index], i.fraction.ravel()[index])
        return Node("rearrange", interval, (self,), attributes={"index": index})

    def __getitem__(self, key: Any) -> Node:
        return self.rearranged(np.arange(self.interval.low.size).reshape(self.shape)[key])

    def reshaped(self, *shape: int) -> Node:
        return self.rearranged(np.arange(self.interval.low.size).reshape(shape))

    def transposed(self, *axes: int) -> Node:
        return self.rearranged(np.arange(self.interval.low.size).reshape(self.shape).transpose(axes))

    def total(self) -> Node:
        return Node("total", self.interval.sum(-1), (self,))

    def maximum(self) -> Node:
        return Node("maximum", self.interval.maximum(-1), (self,))

    def unsigned(self) -> Node:
        return Node("unsigned", self.interval.clipped(), (self,))

    def relu(self) -> Node:
        return Node("relu", self.interval.clipped(), (self,))


def constant(tensor: FixedTensor, name: str = "") -> Node:
    return Node("constant", Interval.exactly(tensor.codes, tensor.format), name=name)


def concatenate(first: Node, second: Node) -> Node:
    a, b = first.interval, second.interval
    parts = ((a.low, b.low), (a.high, b.high), (a.fraction, b.fraction))
    return Node("concatenate", Interval(*(np.concatenate(part) for part in parts)), (first, second))


def linear(x: Node, weight: FixedTensor, bias: FixedTensor | None) -> Node:
    """`weight @ x (+ bias)` over the last axis; weight `[out, in]`."""
    product = Interval.exactly(weight.codes, weight.format)
    source = x.interval
    spread = Interval(source.low[..., None, :], source.high[..., None, :], source.fraction[..., None, :])
    interval = (product * spread).sum(-1)
    if bias is not None:
        interval = interval + Interval.exactly(bias.codes, bias.format)
    return Node("linear", interval, (x,), attributes={"weight": weight, "bias": bias})


def quantised(x: Node, fmt: Format, name: str) -> Node:
    return Node("quantise", x.interval.quantised(fmt), (x,), name, {"format": fmt.spread(x.shape)})


def looked_up(x: Node, table: FixedTensor, name: str) -> Node:
    """`table[code of x]`: x has codes from 0 up, and its address is its code."""
    return tabulated(x, [table.codes[low : high + 1] for low, high in _ends(x)], table.format, name)


def tabulated(x: Node, entries: list[Codes], fmt: Format, name: str) -> Node:
    """One table an element, from the lowest code of its interval to the highest."""
    low = np.array([e.min() for e in entries]).reshape(x.shape)
    high = np.array([e.max() for e in entries]).reshape(x.shape)
    fraction = np.broadcast_to(fmt.f, x.shape)
    return Node("table", Interval(low, high, fraction), (x,), name, {"entries": entries})


def _ends(x: Node) -> Iterator[tuple[int, int]]:
    return zip(x.interval.low.ravel().tolist(), x.interval.high.ravel().tolist(), strict=True)


def gated(x: Node, mask: Node, otherwise: Codes) -> Node:
    """`x` where `mask` (it broadcasts against x) is True, elsewhere the code `otherwise` on x's grid."""
    i = x.interval
    known = np.broadcast_to(mask.interval.low == 1, x.shape)
    low = np.where(known, i.low, np.minimum(i.low, otherwise))
    high = np.where(known, i.high, np.maximum(i.high, otherwise))
    return Node(
        "gate",
        Interval(low, high, i.fraction),
        (x, mask),
        attributes={"otherwise": np.broadcast_to(otherwise, x.shape)},
    )


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
    """The network of a state, equation by equation as the interface has them."""
    architecture = state.architecture
    fmt = state.activations["input"]
    features = Node(
        "input", Interval.of(fmt, (architecture.constituents, architecture.features)), name="features"
    )
    one_bit = Format.of([0, 1, 0])
    mask = Node("input", Interval.of(one_bit, (architecture.constituents,)), name="mask")
    always = constant(FixedTensor(np.ones(1, dtype=np.int64), one_bit))
    real = concatenate(always, mask)
    embedded = linear(features, state.tensors["embedding.weight"], state.tensors["embedding.bias"])
    class_token = constant(state.tensors["class_token"], "class_token")
    t = concatenate(class_token.reshaped(1, -1), quantised(embedded, state.activations["tokens"], "tokens"))
    for number in range(architecture.blocks):
        last = number == architecture.blocks - 1
        t = _attention(state, number, t, real, queries=1 if last else architecture.tokens)
        t = _feedforward(state, number, t)
    head = linear(t[0], state.tensors["head.weight"], state.tensors["head.bias"])
    return Network(features, mask, quantised(head, state.activations["logits"], "logits"))


def _attention(state: State, number: int, t: Node, real: Node, queries: int) -> Node:
    name = f"{state.block(number)}attention."
    heads, head_dim = state.architecture.heads, state.architecture.head_dim(number)

    def project(x: Node, letter: str, activation: str) -> Node:
        weight, bias = state.tensors[f"{name}{letter}.weight"], state.tensors[f"{name}{letter}.bias"]
        flat = quantised(linear(x, weight, bias), state.activations[name + activation], name + activation)
        return flat.reshaped(x.shape[0], heads, head_dim).transposed(1, 0, 2)

    def q(x: Node, activation: str) -> Node:
        return quantised(x, state.activations[name + activation], name + activation)

    asking = t[:queries]
    query, key, value = project(asking, "q", "query"), project(t, "k", "key"), project(t, "v", "value")
    score = q((query[:, :, None] * key[:, None]).total(), "score")
    # A padded token's score becomes the lowest of the row: it can't be the maximum, and max - s stays at 0 or above.
    score = gated(score, real, score.interval.low.min(axis=-1, keepdims=True))
    distance = _distance(score)
    e = looked_up(q(distance, "exponent"), state.tensors[name + "exp_table"], name + "exp")
    e = gated(e, real, np.zeros_like(e.interval.low))
    r = looked_up(q(e.total(), "sum"), state.tensors[name + "reciprocal_table"], name + "reciprocal")
    weighted = (e[:, :, None] * value.transposed(0, 2, 1)[:, None]).total()
    a = heads * head_dim
    weighted = q(weighted.transposed(1, 0, 2).reshaped(queries, a), "weighted")
    by_head = weighted.reshaped(queries, heads, head_dim).transposed(1, 0, 2)
    attended = (r[..., None] * by_head).transposed(1, 0, 2).reshaped(queries, a)
    output = linear(
        q(attended, "attended"), state.tensors[name + "output.weight"], state.tensors[name + "output.bias"]
    )
    return q(asking + output, "residual")


def _distance(score: Node) -> Node:
    """max_j' s_ij' - s_ij, never below 0, which the plain interval of a difference can't know."""
    return (score.maximum()[..., None] + -score).unsigned()


def _feedforward(state: State, number: int, t: Node) -> Node:
    name = f"{state.block(number)}feedforward."
    sign = state.tensors[name + "sign"].codes
    # Fixed signs: no multiplier, only wires of t or of -t.
    stacked = concatenate(t.reshaped(1, *t.shape), (-t).reshaped(1, *t.shape))
    rows, columns = np.indices(t.shape)
    signed = stacked[(sign[columns] < 0).astype(np.int64), rows, columns]
    u = quantised(
        (signed + constant(state.tensors[name + "offset"])).relu(),
        state.activations[name + "input"],
        name + "input",
    )
    expanded = linear(u, state.tensors[name + "expand.weight"], state.tensors[name + "expand.bias"])
    h = quantised(expanded.relu(), state.activations[name + "hidden"], name + "hidden")
    contracted = linear(h, state.tensors[name + "contract.weight"], None)
    return quantised(t + contracted, state.activations[name + "output"], name + "output")
