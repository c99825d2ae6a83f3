"""Chains of one-argument operations on a narrow number become one table.

`exp_table[Q(x)]` of an 8-bit x, or `Q(ReLU(offset - t))` of an 8-bit t, is a function of 8 bits: a look-up of one or
two logic levels where adder, rounding and saturation would take five.
"""

from __future__ import annotations

import numpy as np

from .fixed_point import Codes, Format, quantise
from .network import Network
from .nodes import Node, tabulated


def fuse(network: Network, address_bits: int) -> Network:
    """The same function with tables of at most `address_bits` where a chain of two or more operations allows one."""
    made: dict[int, Node] = {}
    for node in network.nodes():
        sources = tuple(made[id(source)] for source in node.sources)
        rebuilt = Node(node.op, node.interval, sources, node.layer, node.attributes) if sources else node
        made[id(node)] = _fused(rebuilt, address_bits)
    return Network(*(made[id(node)] for node in (network.features, network.mask, network.logits)))


def _argument(node: Node) -> Node | None:
    """The only source that varies, for an operation of one argument, element by element."""
    if node.op in ("quantise", "relu", "unsigned", "negate", "table"):
        return node.sources[0]
    with_constant = node.op in ("add", "multiply") and node.sources[1].op == "constant"
    if with_constant and node.sources[0].shape == node.shape and not _only_wires(node):
        return node.sources[0]
    return None


def _only_wires(node: Node) -> bool:
    """A product with powers of two or their negatives costs nothing, and a table of `-x` shares more than one of x."""
    if node.op != "multiply":
        return False
    factors = np.abs(node.sources[1].interval.low)
    return bool((factors & (factors - 1) == 0).all())


def _fused(node: Node, address_bits: int) -> Node:
    if node.op not in ("quantise", "table"):
        return node
    chain, best = [node], 0
    source = _argument(node)
    while source is not None:
        if source.op != "constant" and int(source.interval.bits.max()) <= address_bits:
            best = len(chain)
        chain.append(source)
        source = _argument(source)
    if best < 2:
        return node
    return _table(chain[best], chain[:best][::-1], node)


def _table(source: Node, chain: list[Node], node: Node) -> Node:
    entries = []
    for element in range(source.interval.low.size):
        low, high = source.interval.low.ravel()[element], source.interval.high.ravel()[element]
        codes = np.arange(low, high + 1)
        for step in chain:
            codes = _apply(step, element, codes)
        entries.append(codes)
    made = tabulated(source, entries, node.interval.fraction)
    made.layer = node.layer
    return made


def _apply(step: Node, element: int, codes: Codes) -> Codes:
    """One operation on codes of one element."""
    source = step.sources[0].interval
    fraction = source.fraction.ravel()[element]
    if step.op == "quantise":
        kif = step.attributes["format"].kif().reshape(-1, 3)[element]
        return quantise(codes, fraction, Format.of(kif))
    if step.op in ("relu", "unsigned"):
        return np.maximum(codes, 0)
    if step.op == "negate":
        return -codes
    if step.op == "table":
        return np.asarray(step.attributes["entries"][element][codes - source.low.ravel()[element]])
    constant = np.broadcast_to(step.sources[1].interval.low, step.shape).ravel()[element]
    if step.op == "multiply":
        return codes * constant
    out = step.interval.fraction.ravel()[element]
    grid = np.broadcast_to(step.sources[1].interval.fraction, step.shape).ravel()[element]
    return (codes << (out - fraction)) + (constant << (out - grid))
