"""The registers between stages, clock cycle by clock cycle, from Icarus Verilog; wave viewers open its VCD file, too."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from . import icarus
from .project import Project
from .simulation import VALID
from .vectors import Vectors

PERIOD_PS = 2000  # of the bench
UNDEFINED = -1


def registers(loaded: Project, asked: Vectors, work: Path, latency: int) -> dict[str, NDArray[np.int64]]:
    """Codes, as unsigned numbers, `[delay, jets]` of each register `sK_vN`; UNDEFINED where a bit is not 0 or 1.

    With delay 0 they stand there in the cycle after that of their jet.
    """
    cycles = len(asked) + latency + 2
    rows = np.minimum(np.arange(cycles), len(asked) - 1)
    control = np.full(cycles, VALID, dtype=np.uint32)
    features = asked.x.reshape(len(asked), -1)[rows]
    play = partial(icarus.play, loaded.verilog, waves=True)
    play(loaded.ports, control, features, asked.mask[rows], work)
    changes = _changes((work / icarus.WAVES).read_text())
    return {name: _by_delay(_each_cycle(at, cycles), len(asked), latency) for name, at in changes.items()}


def _changes(text: str) -> dict[str, list[tuple[int, int]]]:
    """Times and new values of every signal named `sK_vN`."""
    names: dict[str, str] = {}
    found: dict[str, list[tuple[int, int]]] = {}
    time = 0
    for line in text.splitlines():
        if line.startswith("$var"):
            _, _, _, mark, name, *_ = line.split()
            if name.startswith("s") and "_v" in name:
                names[mark] = name
                found[name] = []
        elif line.startswith("#"):
            time = int(line[1:])
        elif line[:1] in ("b", "0", "1", "x", "z"):
            value, mark = line[1:].split() if line[0] == "b" else (line[0], line[1:])
            if mark in names:
                found[names[mark]].append((time, int(value, 2) if set(value) <= {"0", "1"} else UNDEFINED))
    return found


def _each_cycle(changes: list[tuple[int, int]], cycles: int) -> NDArray[np.int64]:
    """Values at the end of every cycle; a rising edge that ends cycle n changes what cycle n + 1 shows."""
    times = np.array([time for time, _ in changes])
    values = np.array([value for _, value in changes], dtype=np.int64)
    ends = np.arange(cycles) * PERIOD_PS + PERIOD_PS // 2 - 1
    return np.asarray(values[np.maximum(np.searchsorted(times, ends, side="right") - 1, 0)])


def _by_delay(values: NDArray[np.int64], jets: int, latency: int) -> NDArray[np.int64]:
    return np.stack([values[1 + delay : 1 + delay + jets] for delay in range(latency)])
