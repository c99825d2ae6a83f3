"""Where the numbers of a circuit part from the reference's: the first layer, found by what passes through it.

A layer's numbers over some dozens of jets are a fingerprint. In a sound circuit most layers can be found by it among the
values of the program (not those that tables have swallowed, or whose padded entries don't matter). The first of these
layers that can't be found in the circuit at hand is where it goes wrong.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import reference, tools, tracer, waves
from .project import Project
from .tracing import traced
from .vectors import Vectors

JETS = 64
Columns = NDArray[np.float64]  # [jets, values]


def in_interpreter(loaded: Project, asked: Vectors) -> str:
    """Of the project's program, in words."""
    inputs = _inputs(loaded, asked)
    found = _prints(tracer.values(loaded.program(), inputs))
    sound = _prints(tracer.values(traced(loaded.state, loaded.state_path), inputs))
    layers = _layers(loaded, asked)
    for name, prints in layers.items():
        if prints <= sound and not prints <= found:
            return f"it parts from the reference in layer '{name}'"
    hidden = next((name for name, prints in layers.items() if not prints <= found), "logits")
    return f"the first layer whose numbers don't occur in it is '{hidden}'"


def in_verilog(loaded: Project, asked: Vectors) -> str:
    """Of the Verilog, in words: the first register that holds other numbers than the program has there."""
    if tools.icarus() is None:
        return "with Icarus Verilog on PATH the layer would be told"
    program = loaded.program()
    line = tracer.pipeline(program, float(loaded.description["stage_delay"]))
    expected = tracer.codes(program, _inputs(loaded, asked))
    with tempfile.TemporaryDirectory() as name:
        seen = waves.registers(loaded, asked, Path(name), line.latency_cycles)
    for stage, carried in enumerate(line.carried()):
        for number in carried:
            row = seen.get(f"s{stage}_v{number}")
            width = line.width(number)
            if row is None or not np.array_equal(row[stage], expected[:, number] & ((1 << width) - 1)):
                where = _layer_of(loaded, asked, program, number)
                return f"it parts from the program in layer '{where}' (register s{stage}_v{number})"
    return "all registers between stages hold what they should: it parts behind them, in the top level"


def _inputs(loaded: Project, asked: Vectors) -> Columns:
    features = loaded.state.formats["features"].value(asked.x).reshape(len(asked), -1)
    return np.concatenate([features, asked.mask], axis=1)


def _prints(values: Columns) -> set[bytes]:
    """One fingerprint a column; zeros have one sign."""
    return {column.tobytes() for column in np.ascontiguousarray(values.T + 0.0)}


def _layers(loaded: Project, asked: Vectors) -> dict[str, set[bytes]]:
    """Fingerprints of the numbers of each layer that vary, in the order of the graph."""
    found = {}
    for name, exact in reference.values(loaded.state, asked.x, asked.mask).items():
        numbers = np.ldexp(exact.n.astype(np.float64), -exact.f).reshape(len(exact.n), -1)
        varies = (numbers != numbers[:1]).any(axis=0)
        if varies.any():
            found[name] = _prints(numbers[:, varies])
    return found


def _layer_of(loaded: Project, asked: Vectors, program: Any, number: int) -> str:
    """The first layer, in the order of the graph, that this value leads to."""
    columns = np.ascontiguousarray(tracer.values(program, _inputs(loaded, asked)).T + 0.0)
    order: dict[bytes, int] = {}
    for place, prints in enumerate(_layers(loaded, asked).values()):
        for mark in prints:
            order.setdefault(mark, place)
    names = list(_layers(loaded, asked))
    places = [order.get(column.tobytes(), len(names)) for column in columns]
    for user in range(len(places) - 1, -1, -1):
        for source in program.ops[user].addr:
            if columns[source].tobytes() not in order:
                places[source] = min(places[source], places[user])
    return names[places[number]] if places[number] < len(names) else "logits"
