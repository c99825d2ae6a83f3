"""Features brought to mean 0 and deviation 1 by given constants."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from jetformer_data.jets import Normalisation

_PIECE = 65_536  # numbers that are worked on together: they stay in the processor's cache


def normalise(
    x: NDArray[np.floating], mask: NDArray[np.bool_], normalisation: Normalisation
) -> NDArray[np.float32]:
    """`(x - mean) / std` in float64, then float32; zeros where `mask` (True = real constituent) is False."""
    normal = (x.astype(np.float64) - normalisation.mean) / normalisation.std
    return np.where(mask[..., None], normal, 0.0).astype(np.float32)


def normalise_rows(rows: NDArray[np.float32], normalisation: Normalisation) -> None:
    """The same in place, and faster, for `rows` float32 `[constituents, features]`, all of them real."""
    flat, times = rows.reshape(-1), max(1, _PIECE // rows.shape[1])
    mean, std = np.tile(normalisation.mean, times), np.tile(normalisation.std, times)
    exact = np.empty(len(mean))
    for start in range(0, len(flat), len(mean)):
        values = flat[start : start + len(mean)]
        part = exact[: len(values)]
        part[:] = values
        part -= mean[: len(values)]
        part /= std[: len(values)]
        values[:] = part
