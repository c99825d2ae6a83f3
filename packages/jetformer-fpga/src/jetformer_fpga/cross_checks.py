"""Further looks at a circuit that `verify` takes when asked: a second simulator, and the AXI4-Stream wrapper."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path

import numpy as np

from . import icarus, simulation, streaming, wrappers
from .fixed_point import Codes
from .project import Project
from .streaming import Timing
from .vectors import Vectors

WILLING = ((100, 100), (60, 45))  # sender, receiver: percentages of cycles


def by_icarus(loaded: Project, asked: Vectors, expected: Codes) -> tuple[Codes, Timing]:
    """Answers and timing in Icarus Verilog. Raises ToolError where it is absent or doesn't take the code."""
    return streaming.simulate(loaded, partial(icarus.play, loaded.verilog), asked, expected)


def by_stream(loaded: Project, asked: Vectors) -> Codes:
    """Answers `[2 jets, outputs]` of the wrapper, to senders and receivers that never pause and to some that do.

    What has not arrived is UNDEFINED. Raises ToolError where a rule of the protocol is broken.
    """
    features, codes = asked.x.reshape(len(asked), -1), []
    with tempfile.TemporaryDirectory() as name:
        bench = simulation.compile_circuit(
            loaded.verilog, Path(name), top=wrappers.AXIS, bench="testbench_axis.cpp"
        )
        for sender, receiver in WILLING:
            codes.append(
                simulation.stream(
                    bench, loaded.ports, features, asked.mask, Path(name), sender=sender, receiver=receiver
                )
            )
    return np.concatenate([_of_length(found, len(asked)) for found in codes])


def _of_length(codes: Codes, jets: int) -> Codes:
    missing = np.full((max(jets - len(codes), 0), codes.shape[1]), icarus.UNDEFINED)
    return np.concatenate([codes[:jets], missing])
