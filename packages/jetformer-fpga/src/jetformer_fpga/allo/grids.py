"""The same network with steps that every row shares: what lets one small array of weights serve all tokens.

A node may give each element a step of its own; after a parameter has been put before the constituents, tokens have
different steps. Loops over tokens are short only if a channel has one step whatever the token, so inputs, quantisers and
joined arrays are brought to the finest step of their channel. Values don't change.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ..fixed_point import Codes
from ..interval import Interval
from ..network import Network
from ..nodes import Node, linear


def uniform(network: Network) -> Network:
    """An equal network whose steps vary as little as possible from row to row."""
    made: dict[int, Node] = {}
    for node in network.nodes():
        sources = tuple(made[id(source)] for source in node.sources)
        new = RULES.get(node.op, _same)(node, *sources)
        new.layer = node.layer
        made[id(node)] = new
    ends = (made[id(end)] for end in (network.features, network.mask, network.logits))
    return Network(*ends)


def rise(of: Interval, to: Codes) -> Codes:
    """Bits by which codes move up to a finer grid; 0 where there is nothing but 0."""
    live = (of.low != 0) | (of.high != 0)
    return np.where(live, np.broadcast_to(to, of.shape) - of.fraction, 0)


def _even(interval: Interval) -> Interval:
    """On the finest step of each channel (last axis)."""
    live = (interval.low != 0) | (interval.high != 0)
    lead = tuple(range(len(interval.shape) - 1))
    far = -(1 << 8)
    finest = np.where(live, interval.fraction, far).max(axis=lead, keepdims=True)
    finest = np.broadcast_to(np.where(finest == far, 0, finest), interval.shape)
    shift = rise(interval, finest)
    return Interval(interval.low << shift, interval.high << shift, finest)


def _same(node: Node, *sources: Node) -> Node:
    return replace(node, sources=sources)


def _evened(node: Node, *sources: Node) -> Node:
    return replace(node, sources=sources, interval=_even(node.interval))


def _input(node: Node) -> Node:
    """`given` is what arrives."""
    return replace(_evened(node), attributes={"given": node.interval})


def _linear(node: Node, x: Node) -> Node:
    return linear(x, node.attributes["weight"], node.attributes["bias"])


def _gate(node: Node, x: Node, mask: Node) -> Node:
    shift = x.interval.fraction - node.sources[0].interval.fraction
    otherwise = node.attributes["otherwise"]
    otherwise = otherwise << np.where(otherwise != 0, shift, 0)
    low, high = (np.minimum(x.interval.low, otherwise), np.maximum(x.interval.high, otherwise))
    interval = Interval(low, high, x.interval.fraction)
    return Node("gate", interval, (x, mask), attributes={"otherwise": otherwise})


def _table(node: Node, x: Node) -> Node:
    """An address is a code: its grid must have stayed."""
    live = x.interval.high != 0
    assert (x.interval.fraction == node.sources[0].interval.fraction)[live].all(), node.layer
    return replace(node, sources=(x,))


def _rearrange(node: Node, x: Node) -> Node:
    return x.rearranged(node.attributes["index"])


RULES: dict[str, Callable[..., Node]] = {
    "input": _input,
    "quantise": _evened,
    "concatenate": _evened,
    "rearrange": _rearrange,
    "linear": _linear,
    "add": lambda node, a, b: a + b,
    "multiply": lambda node, a, b: a * b,
    "negate": lambda node, x: -x,
    "total": lambda node, x: x.total(),
    "maximum": lambda node, x: x.maximum(),
    "relu": lambda node, x: x.relu(),
    "unsigned": lambda node, x: x.unsigned(),
    "gate": _gate,
    "table": _table,
}
