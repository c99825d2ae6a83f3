"""What each operation of a state becomes: its bit widths, and its cost by the tracer, traced alone.

A layer's cost alone says what to shrink. The whole circuit is not exactly the sum: chains that become one table are counted
where they end, and what a layer knows of its inputs is less alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from . import fusion, network, tracer
from .nodes import Node
from .state import State

FREE = ("reshape", "transpose", "slice", "concatenate")
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Layer:
    """`bits`: of the narrowest and the widest number of the result. LUT, multipliers, delay (tracer's units): estimates."""

    name: str
    op: str
    of: tuple[str, ...]
    shape: tuple[int, ...]
    bits: tuple[int, int]
    kif: str
    lut: int
    multipliers: int
    delay: float

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def layers_of(state: State, table_bits: int, progress: Progress = lambda done, total: None) -> list[Layer]:
    """Every operation of a state, in its order."""
    plain = network.build(state)
    results = {node.layer: node for node in plain.nodes()}  # the last node of a layer is its result
    fused: dict[str, list[Node]] = {}
    for node in fusion.fuse(plain, table_bits).nodes():
        fused.setdefault(node.layer, []).append(node)
    found = []
    for done, operation in enumerate(state.graph, start=1):
        nodes = [node for node in fused.get(operation.name, []) if node.op not in ("input", "constant")]
        cost = tracer.cost_of(nodes)
        bits, kif = _widths(state, operation.name, results.get(operation.name))
        found.append(
            Layer(
                operation.name, operation.op, operation.of, operation.shape, bits, kif,
                round(cost.lut), cost.multipliers, round(cost.delay, 2),
            )
        )  # fmt: skip
        progress(done, len(state.graph))
    return found


def _widths(state: State, name: str, node: Node | None) -> tuple[tuple[int, int], str]:
    """Of the format where the state gives one, else of the interval; the format in words where all have the same."""
    fmt = state.formats.get(name)
    if fmt is not None:
        formats = np.unique(fmt.kif().reshape(-1, 3), axis=0)
        kif = str(tuple(formats[0].tolist())) if len(formats) == 1 else f"{len(formats)} formats"
        return (int(fmt.width.min()), int(fmt.width.max())), kif
    if node is None:
        return (0, 0), ""
    i = node.interval
    magnitude = np.maximum(i.high, -i.low - 1)
    width = np.ceil(np.log2(magnitude.astype(np.float64) + 1)).astype(int) + (i.low < 0)
    return (int(width.min(initial=64)), int(width.max(initial=0))), ""
