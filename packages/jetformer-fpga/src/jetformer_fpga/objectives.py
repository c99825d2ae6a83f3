"""Objectives for a search of networks (jetformer-hpo): what the circuit of a fixed-point state would take.

Estimates of the tracer, in seconds and without any other tool: look-up tables by its cost model, cycles by the same stages
as `jetformer-fpga synth`. An objective is called with an object whose attribute `state` is the path of a state file.
"""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path
from typing import Protocol

from . import state, tracer
from .project import STAGE_DELAY
from .tracing import traced


class Trained(Protocol):
    """What is judged."""

    @property
    def state(self) -> Path: ...


def luts(trained: Trained) -> float:
    """LUT, estimated; multipliers are counted in LUT too. Raises StateError for a state that is not in fixed point."""
    return float(round(_pipeline(trained.state).program.cost))


def latency_cycles(trained: Trained) -> float:
    """Clock cycles from a jet at the inputs to its logits. Raises StateError for a state that is not in fixed point."""
    return float(_pipeline(trained.state).latency_cycles)


luts.direction = "minimize"  # type: ignore[attr-defined]
latency_cycles.direction = "minimize"  # type: ignore[attr-defined]


def _pipeline(path: Path) -> tracer.Pipeline:
    return _traced(path, hashlib.sha256(Path(path).read_bytes()).hexdigest())


@functools.lru_cache(maxsize=1)
def _traced(path: Path, digest: str) -> tracer.Pipeline:
    """Once for both objectives; the digest tells a state from the one that was at its place before."""
    return tracer.pipeline(traced(state.read(path), Path(path)), STAGE_DELAY)
