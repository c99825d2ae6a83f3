"""The padded view: fixed shapes for what cannot work on ragged jets."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from jetformer_data.errors import DataError
from jetformer_data.jets import Jets, feature_columns, offsets_of

FEATURES = ("pt", "etarel", "phirel")


def padded(
    jets: Jets, constituents: int, features: Sequence[str] = FEATURES, min_pt: float = 0.0
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """The first `constituents` of each jet: `x` float32 `[jets, constituents, features]` and its mask.

    Constituents below `min_pt` (GeV) are dropped first and the rest move up. `mask` `[jets, constituents]`
    is True for a real constituent; `x` is zero where it is False.
    """
    if constituents < 1:
        raise DataError(f"constituents: expected at least 1, got {constituents}")
    columns = feature_columns(features, jets.feature_names)
    rows, offsets = _rows_above(jets, min_pt)
    mask, places, taken = _places(offsets, constituents)
    x = np.zeros((mask.size, len(columns)), np.float32)
    x[places] = jets.constituents[rows[taken]][:, columns]
    return x.reshape(*mask.shape, len(columns)), mask


def pad(
    rows: NDArray[np.float32], offsets: NDArray[np.int64], constituents: int
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """The same of plain arrays: `rows` float32 `[constituents, features]` and `offsets` `[jets + 1]`, nothing cut."""
    if constituents < 1:
        raise DataError(f"constituents: expected at least 1, got {constituents}")
    mask, places, taken = _places(offsets, constituents)
    x = np.zeros((mask.size, rows.shape[1]), np.float32)
    x[places] = rows if len(taken) == len(rows) else np.take(rows, taken, axis=0)
    return x.reshape(*mask.shape, rows.shape[1]), mask


def _places(
    offsets: NDArray[np.int64], constituents: int
) -> tuple[NDArray[np.bool_], NDArray[np.int64], NDArray[np.int64]]:
    """The mask `[jets, constituents]`, the places in it that are True, and the row that belongs to each of them."""
    counts = np.minimum(np.diff(offsets), constituents)
    mask = np.arange(constituents) < counts[:, None]
    places = np.flatnonzero(mask)
    shift = offsets[:-1] - np.arange(len(counts)) * constituents
    return mask, places, places + np.repeat(shift, counts)


def _rows_above(jets: Jets, min_pt: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows of the constituents with pt >= `min_pt`, and the offsets of the jets among them."""
    if min_pt <= 0:
        return np.arange(len(jets.constituents)), jets.offsets
    keep = jets.column("pt") >= min_pt
    # Differences of a running count, since np.add.reduceat goes wrong on jets without constituents.
    return np.flatnonzero(keep), offsets_of(keep)[jets.offsets]
