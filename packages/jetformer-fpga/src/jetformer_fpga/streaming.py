"""How the circuit is driven in simulation, clock cycle by clock cycle, and how its answers are read.

Jets come back to back, with random gaps, and around resets: in each cycle `valid_out` must be what the cycles before ask
for, and wherever it is up the logits must be those of the jet that entered one latency earlier.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .fixed_point import Codes
from .ports import Ports
from .project import Project
from .simulation import RESET, VALID
from .vectors import Vectors

IDLE = 8  # clock cycles beyond the latency, to see that nothing follows
SOME = 64  # jets with gaps between them
Flags = NDArray[np.bool_]
# A simulator with the circuit: ports, control, features, mask, a folder to work in -> valid_out and codes in each cycle.
Play = Callable[[Ports, NDArray[np.uint32], Codes, Flags, Path], tuple[Flags, Codes]]


@dataclass(frozen=True)
class Timing:
    """Measured in simulation; None where the circuit's answers never came."""

    latency_cycles: int | None
    latency_by_answers: int | None
    initiation_interval: float | None
    valid_faults: int


@dataclass(frozen=True)
class Stimulus:
    """One row a clock cycle: which vector stands at the inputs, RESET and VALID. All vectors in order from `start` on."""

    rows: NDArray[np.int64]
    control: NDArray[np.uint32]
    start: int


def stimulus(vectors: int, latency: int, seed: int = 0) -> Stimulus:
    """Jets in reset, every vector in a row, some with gaps, some with resets among those in flight; pauses between."""
    rng = np.random.default_rng(seed)
    pause = (np.zeros(latency + IDLE, dtype=np.int64), np.zeros(latency + IDLE, dtype=np.uint32))
    in_reset = (np.zeros(2, dtype=np.int64), np.full(2, RESET | VALID, dtype=np.uint32))
    everyone = (np.arange(vectors), np.full(vectors, VALID, dtype=np.uint32))
    with_gaps = (rng.integers(vectors, size=SOME), rng.integers(2, size=SOME).astype(np.uint32) * VALID)
    length = 4 * latency + SOME
    resets = rng.choice(length - latency, size=2, replace=False)
    interrupted = np.full(length, VALID, dtype=np.uint32)
    interrupted[resets] |= RESET
    with_resets = (rng.integers(vectors, size=length), interrupted)
    parts = [in_reset, pause, everyone, pause, with_gaps, pause, with_resets, pause]
    rows, control = (np.concatenate(part) for part in zip(*parts, strict=True))
    return Stimulus(rows, control, len(in_reset[0]) + len(pause[0]))


def due(control: NDArray[np.uint32], latency: int) -> Flags:
    """When `valid_out` must be up: a jet entered `latency` cycles ago, and no reset since then."""
    cycles = len(control)
    accepted, resets = control == VALID, (control & RESET) != 0
    since = np.concatenate([[0], np.cumsum(resets)])
    up = np.zeros(cycles, dtype=bool)
    now = np.arange(latency, cycles)
    up[latency:] = accepted[: cycles - latency] & (since[now] == since[now - latency])
    return up


def simulate(loaded: Project, play: Play, asked: Vectors, expected: Codes) -> tuple[Codes, Timing]:
    """The circuit's answers to every vector, and its timing. `expected` are the reference's codes."""
    played = stimulus(len(asked), int(loaded.description["latency_cycles"]))
    features = asked.x.reshape(len(asked), -1)[played.rows]
    with tempfile.TemporaryDirectory() as work:
        valid, codes = play(loaded.ports, played.control, features, asked.mask[played.rows], Path(work))
    return read_out(played, valid, codes, expected)


def read_out(played: Stimulus, valid: Flags, codes: Codes, expected: Codes) -> tuple[Codes, Timing]:
    """The answers to the jets that came back to back, and what was measured of the flags."""
    start, jets, cycles = played.start, len(expected), len(played.control)
    out = np.flatnonzero(valid)
    latency = int(out[0]) - start if out.size and out[0] >= start else None
    by_answers = _latency_by_answers(played, codes, expected)
    faults = cycles if latency is None else _faults(played, valid, codes, expected, latency)
    delay = latency if latency is not None and start + latency + jets <= cycles else 0
    answers = codes[start + delay : start + delay + jets]
    return answers, Timing(latency, by_answers, _interval(out, jets), faults)


def _latency_by_answers(played: Stimulus, codes: Codes, expected: Codes) -> int | None:
    """Independent of valid_out: the delay at which the most cycles show the answer to what entered that long before."""
    start, jets = played.start, len(expected)
    reach = len(codes) - start - jets + 1
    matches = [
        (codes[start + lag : start + lag + jets] == expected).all(axis=1).sum() for lag in range(reach)
    ]
    return int(np.argmax(matches)) if max(matches, default=0) else None


def _interval(out: NDArray[np.int64], jets: int) -> float | None:
    if not out.size >= jets > 1:
        return None
    mean = float((out[jets - 1] - out[0]) / (jets - 1))
    return int(mean) if mean == int(mean) else mean


def _faults(played: Stimulus, valid: Flags, codes: Codes, expected: Codes, latency: int) -> int:
    """Cycles with a wrong flag, and wrong answers after the jets that came back to back."""
    up = due(played.control, latency)
    late = np.flatnonzero(up & (np.arange(len(up)) >= played.start + latency + len(expected)))
    wrong = (codes[late] != expected[played.rows[late - latency]]).any(axis=1)
    return int((up != valid).sum() + wrong.sum())
