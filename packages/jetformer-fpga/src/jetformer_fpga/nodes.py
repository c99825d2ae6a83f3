"""Nodes: arrays of wires, each with the operation that makes it and the integer interval of every element.

A backend needs no knowledge of Transformers, and a reader can see each width. Masks are one-bit wires, True = real
constituent.

| op | result |
|---|---|
| input | wires from outside |
| constant | fixed codes |
| rearrange | elements of the source in the order of `index` |
| concatenate | sources one after the other along axis 0 |
| linear | `weight @ x + bias` over the last axis |
| add, multiply | element by element, shapes broadcast; a constant is the second source |
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

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .fixed_point import Codes, Format
from .interval import Interval
from .state import FixedTensor


@dataclass(eq=False)
class Node:
    """One array of wires; `layer` is the operation of the state that it belongs to."""

    op: str
    interval: Interval
    sources: tuple[Node, ...] = ()
    layer: str = ""
    attributes: dict[str, Any] = field(default_factory=dict)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.interval.shape

    def __add__(self, other: Node) -> Node:
        return Node("add", self.interval + other.interval, _constant_last(self, other))

    def __mul__(self, other: Node) -> Node:
        return Node("multiply", self.interval * other.interval, _constant_last(self, other))

    def __neg__(self) -> Node:
        if self.op == "constant":
            return Node("constant", -self.interval)
        return Node("negate", -self.interval, (self,))

    def rearranged(self, index: Codes) -> Node:
        """`index` holds flat positions in this node."""
        i = self.interval
        interval = Interval(i.low.ravel()[index], i.high.ravel()[index], i.fraction.ravel()[index])
        if self.op == "constant":
            return Node("constant", interval)
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


def _constant_last(a: Node, b: Node) -> tuple[Node, Node]:
    return (b, a) if a.op == "constant" else (a, b)


def constant(tensor: FixedTensor) -> Node:
    return Node("constant", Interval.exactly(tensor.codes, tensor.format).coarsest())


def concatenate(sources: Sequence[Node]) -> Node:
    parts = ([getattr(s.interval, name) for s in sources] for name in ("low", "high", "fraction"))
    return Node("concatenate", Interval(*(np.concatenate(part) for part in parts)), tuple(sources))


def linear(x: Node, weight: FixedTensor, bias: FixedTensor | None) -> Node:
    """`weight @ x (+ bias)` over the last axis; weight `[out, in]`."""
    product = Interval.exactly(weight.codes, weight.format)
    source = x.interval
    spread = Interval(source.low[..., None, :], source.high[..., None, :], source.fraction[..., None, :])
    interval = (product * spread).sum(-1)
    if bias is not None:
        interval = interval + Interval.exactly(bias.codes, bias.format)
    return Node("linear", interval, (x,), attributes={"weight": weight, "bias": bias})


def quantised(x: Node, fmt: Format) -> Node:
    return Node("quantise", x.interval.quantised(fmt), (x,), attributes={"format": fmt.spread(x.shape)})


def looked_up(x: Node, table: FixedTensor) -> Node:
    """`table[code of x]`: x has codes from 0 up, and its address is its code."""
    return tabulated(x, [table.codes[low : high + 1] for low, high in _ends(x)], table.format.f)


def tabulated(x: Node, entries: list[Codes], fraction: Codes) -> Node:
    """One table an element, from the lowest code of its interval to the highest."""
    low = np.array([e.min() for e in entries]).reshape(x.shape)
    high = np.array([e.max() for e in entries]).reshape(x.shape)
    interval = Interval(low, high, np.broadcast_to(fraction, x.shape))
    return Node("table", interval, (x,), attributes={"entries": entries})


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
