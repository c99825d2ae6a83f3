"""What the circuit is asked: jets of a file, and corner vectors that no file is sure to hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from jetformer_data import schema
from jetformer_data.padding import padded
from jetformer_data.splitting import file_mask
from jetformer_data.statistics import normalise

from .errors import FpgaError
from .fixed_point import Codes, quantise_real
from .state import State


@dataclass(frozen=True)
class Vectors:
    """Inputs `[rows, P, F]` float32 (normalised), their codes, mask `[rows, P]` (True = real), and a name for each row."""

    values: NDArray[np.float32]
    x: Codes
    mask: NDArray[np.bool_]
    names: tuple[str, ...]

    @classmethod
    def of_codes(cls, state: State, x: Codes, mask: NDArray[np.bool_], names: tuple[str, ...]) -> Vectors:
        """Inputs that lie on the grid: quantising them gives the codes back."""
        return cls(state.formats["features"].value(x).astype(np.float32), x, mask, names)

    def rows(self, chosen: Sequence[int]) -> Vectors:
        at = list(chosen)
        return Vectors(self.values[at], self.x[at], self.mask[at], tuple(self.names[row] for row in at))

    def __len__(self) -> int:
        return len(self.x)

    def __add__(self, other: Vectors) -> Vectors:
        return Vectors(
            np.concatenate([self.values, other.values]),
            np.concatenate([self.x, other.x]),
            np.concatenate([self.mask, other.mask]),
            self.names + other.names,
        )


def of_file(
    state: State, path: str | Path, split: str, jets: int | None
) -> tuple[Vectors, NDArray[np.int64]]:
    """Jets of one split of a file as the circuit sees them, and their positions in the file."""
    with schema.Reader(path) as reader:
        chosen = np.flatnonzero(file_mask(reader, split))[:jets]
        if not chosen.size:
            raise FpgaError(f"{path}: no jets in the split '{split}'.")
        wanted = np.zeros(int(chosen[-1]) + 1, dtype=bool)
        wanted[chosen] = True
        found = reader.read(0, len(wanted)).select(wanted)
    features, mask = padded(found, state.constituents, state.inputs.features, state.inputs.min_pt_gev)
    values, codes = _coded(state, features, mask, chosen)
    names = tuple(f"jet {position}" for position in chosen)
    return Vectors(values, codes, mask, names), chosen.astype(np.int64)


def labels_of(state: State, path: str | Path, positions: NDArray[np.int64]) -> NDArray[np.int64] | None:
    """Classes of jets of a file; None where its classes are not those of the state."""
    with schema.Reader(path) as reader:
        same = reader.class_names == state.class_names
        return reader.per_jet("labels")[positions] if same else None


def inputs_of(
    state: State, jets: schema.Jets, positions: NDArray[np.int64]
) -> tuple[NDArray[np.float32], Codes, NDArray[np.bool_]]:
    """Normalised inputs `[jets, P, F]`, their codes, mask `[jets, P]`; `positions` are those of the jets in their file."""
    inputs = state.inputs
    features, mask = padded(jets, state.constituents, inputs.features, inputs.min_pt_gev)
    return *_coded(state, features, mask, positions), mask


def _coded(
    state: State, features: NDArray[np.float32], mask: NDArray[np.bool_], positions: NDArray[np.int64]
) -> tuple[NDArray[np.float32], Codes]:
    """Normalised features and their codes. What is beyond a format saturates; what is no number is refused."""
    values = normalise(features, mask, schema.Normalisation(state.inputs.mean, state.inputs.std))
    bad = ~np.isfinite(values)
    if bad.any():
        row, constituent, feature = (int(axis) for axis in np.argwhere(bad)[0])
        raise FpgaError(
            f"jet {positions[row]}, constituent {constituent}: {state.inputs.features[feature]} is "
            f"{values[row, constituent, feature]}, which no number format holds; clean the file."
        )
    return values, quantise_real(values.astype(np.float64), state.formats["features"])


def corners(state: State) -> Vectors:
    """All zero, all lowest, all highest, alternating, one constituent, none; real constituents are never all at the end."""
    shape = state.input_shape
    fmt = state.formats["features"].spread(shape)
    places = np.indices(shape).sum(axis=0)
    everyone = np.ones(state.constituents, dtype=bool)
    alternating = np.arange(state.constituents) % 2 == 0
    first, last = np.arange(state.constituents) == 0, np.arange(state.constituents)[::-1] == 0
    swinging = np.where(places % 2 == 0, fmt.low, fmt.high)
    rows = [
        ("all zero", np.zeros(shape, dtype=np.int64), everyone),
        ("all lowest", fmt.low, everyone),
        ("all highest", fmt.high, everyone),
        ("alternating lowest and highest", swinging, everyone),
        ("alternating highest and lowest", fmt.low + fmt.high - swinging, everyone),
        ("no constituent", np.zeros(shape, dtype=np.int64), ~everyone),
        ("one constituent, highest", fmt.high, first),
        ("one constituent, lowest", fmt.low, first),
        ("one constituent, in the last place", fmt.high, last),
        ("every second constituent", swinging, alternating),
    ]
    mask = np.stack([row[2] for row in rows])
    x = np.where(mask[..., None], np.stack([row[1] for row in rows]), 0)
    return Vectors.of_codes(state, x, mask, tuple(f"corner vector '{row[0]}'" for row in rows))
