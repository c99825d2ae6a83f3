"""The jets of a validation: corner vectors first, then those of a file, or seeded random codes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .. import vectors
from ..errors import FpgaError
from ..state import State
from ..vectors import Vectors

SEED = 9


def asked(state: State, jets: int, data: Path | None = None) -> Vectors:
    """`jets` jets in all: corner vectors, then the test split of `data` or random codes with 0 to P constituents."""
    if jets < 1:
        raise FpgaError(f"the number of jets must be 1 or more, got {jets}.")
    corners = vectors.corners(state)
    rest = max(jets - len(corners), 0)
    if not rest:
        return _first(corners, jets)
    return corners + (drawn(state, rest) if data is None else vectors.of_file(state, data, "test", rest)[0])


def drawn(state: State, jets: int) -> Vectors:
    """Random codes of the whole range; real constituents come first."""
    rng = np.random.default_rng(SEED)
    fmt = state.formats["features"].spread(state.input_shape)
    x = rng.integers(fmt.low, fmt.high + 1, size=(jets, *state.input_shape))
    mask = np.arange(state.constituents) < rng.integers(0, state.constituents + 1, size=(jets, 1))
    return Vectors.of_codes(state, x, mask, tuple(f"random jet {n}" for n in range(jets)))


def _first(found: Vectors, jets: int) -> Vectors:
    return Vectors(found.values[:jets], found.x[:jets], found.mask[:jets], found.names[:jets])
