"""Latency against logic: the same network with other pipelines, by the tracer's estimates, in seconds a point.

Three knobs: how much logic fits in a clock cycle (`stage_delay`), how wide a number may address a table instead of going
through adders (`table_bits`), and how many adder levels a constant matrix may take beyond the least (`depth`).
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from itertools import product
from pathlib import Path
from typing import Any

from . import fusion, network, tracer
from .errors import FpgaError
from .project import CLOCK_MHZ
from .state import read

Progress = Callable[[int, int], None]
STAGE_DELAYS = (5.0, 7.0, 9.0, 12.0, 16.0)


@dataclass(frozen=True)
class Point:
    """One pipeline. LUT is an estimate that counts multipliers in LUT, FF the register bits, ns at an assumed clock."""

    stage_delay: float
    table_bits: int
    depth: int
    latency_cycles: int
    latency_ns: float
    lut: int
    ff: int
    multipliers: int
    best: bool = False

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def explore(
    state_path: str | Path,
    *,
    stage_delays: Sequence[float] = STAGE_DELAYS,
    table_bits: Sequence[int] = (8,),
    depths: Sequence[int] = (0, 1, -1),
    clock_mhz: float = CLOCK_MHZ,
    progress: Progress = lambda done, total: None,
) -> list[Point]:
    """Every combination; `best` marks those that no other one beats in cycles, LUT and FF at once. Raises FpgaError."""
    if not (stage_delays and table_bits and depths) or min(stage_delays) <= 0 or clock_mhz <= 0:
        raise FpgaError("stage delays and the clock must be above 0, and every knob needs a value.")
    if not (min(table_bits) >= 0 and max(table_bits) <= 12 and min(depths) >= -1):
        raise FpgaError("table bits must be 0 to 12, and depths -1 (no limit) or more.")
    built = network.build(read(state_path))
    points: list[Point] = []
    pairs = list(product(table_bits, depths))
    for done, (bits, depth) in enumerate(pairs):
        progress(done, len(pairs))
        program = tracer.trace(fusion.fuse(built, bits), depth)
        points += [_point(program, delay, bits, depth, clock_mhz) for delay in stage_delays]
    progress(len(pairs), len(pairs))
    return [Point(**asdict(point) | {"best": not any(_beats(o, point) for o in points)}) for point in points]


def _point(program: Any, stage_delay: float, bits: int, depth: int, clock_mhz: float) -> Point:
    line = tracer.pipeline(program, stage_delay)
    cycles = line.latency_cycles
    multipliers = sum(op.opcode == tracer.MULTIPLY for op in program.ops)
    numbers = (
        cycles,
        cycles * 1000 / clock_mhz,
        round(program.cost),
        line.register_bits + cycles,
        multipliers,
    )
    return Point(stage_delay, bits, depth, *numbers)


def _beats(a: Point, b: Point) -> bool:
    mine, other = ((p.latency_cycles, p.lut, p.ff) for p in (a, b))
    return mine != other and all(x <= y for x, y in zip(mine, other, strict=True))


def write_csv(points: Sequence[Point], path: Path) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Point)])
        writer.writeheader()
        writer.writerows(point.as_json() for point in points)


def plot(points: Sequence[Point], path: Path, title: str) -> None:
    """Cycles against LUT (and FF), one line for each way of tracing; needs the extra `plot`."""
    from .extras import require

    require("matplotlib", "plot")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4), layout="constrained")
    left, right = figure.subplots(1, 2, sharex=True)
    for bits, depth in sorted({(point.table_bits, point.depth) for point in points}):
        line = sorted(
            (p for p in points if (p.table_bits, p.depth) == (bits, depth)), key=lambda p: p.latency_cycles
        )
        cycles = [p.latency_cycles for p in line]
        label = f"tables of {bits} bit, depth {depth if depth >= 0 else 'free'}"
        left.plot(cycles, [p.lut for p in line], "o-", label=label)
        right.plot(cycles, [p.ff for p in line], "o-", label=label)
    left.set(xlabel="latency [clock cycles]", ylabel="LUT (tracer's estimate)", title=title)
    right.set(xlabel="latency [clock cycles]", ylabel="FF (register bits)")
    figure.legend(*left.get_legend_handles_labels(), fontsize="small", loc="outside lower center", ncols=3)
    figure.savefig(path)
