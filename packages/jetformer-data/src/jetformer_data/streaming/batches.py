"""Batches of ragged jets, and how windows of jets are cut into them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from jetformer_data.jets import offsets_of
from jetformer_data.padding import pad


@dataclass(frozen=True, eq=False)
class Batch:
    """Ragged jets; the constituents of jet `j` are the rows `offsets[j]:offsets[j + 1]`.

    constituents    float32 `[constituents, features]`
    offsets         int64 `[jets + 1]`
    labels          int64 `[jets]`
    index           int64 `[jets]`, place of each jet in all files one after another
    weights         float32 `[jets]`, or None
    jet_features    float32 `[jets, jet_features]`
    """

    constituents: NDArray[np.float32]
    offsets: NDArray[np.int64]
    labels: NDArray[np.int64]
    index: NDArray[np.int64]
    weights: NDArray[np.float32] | None
    jet_features: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.labels)

    def dense(self, constituents: int) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """The first `constituents` of each jet: `x` `[jets, constituents, features]`, 0 where the mask is False, and the
        mask `[jets, constituents]` (True = real constituent)."""
        return pad(self.constituents, self.offsets, constituents)

    def part(self, start: int, stop: int) -> Batch:
        """Jets `start:stop`, as views."""
        offsets = self.offsets[start : stop + 1]
        return Batch(
            self.constituents[offsets[0] : offsets[-1]],
            offsets - offsets[0],
            self.labels[start:stop],
            self.index[start:stop],
            None if self.weights is None else self.weights[start:stop],
            self.jet_features[start:stop],
        )


def cut(windows: Iterator[tuple[int, Batch]], bounds: NDArray[np.int64]) -> Iterator[Batch]:
    """The batches between the bounds; each window comes with the place of its first jet."""
    place, window = 0, None
    for start, stop in pairwise(bounds.tolist()):
        parts: list[Batch] = []
        while start < stop or not parts:
            if window is None or start >= place + len(window):
                place, window = next(windows)
            end = min(stop, place + len(window))
            parts.append(window.part(start - place, end - place))
            start = end
        yield parts[0] if len(parts) == 1 else joined(parts)


def joined(parts: list[Batch]) -> Batch:
    """One batch of several."""
    return Batch(
        np.concatenate([part.constituents for part in parts]),
        offsets_of(np.concatenate([np.diff(part.offsets) for part in parts])),
        np.concatenate([part.labels for part in parts]),
        np.concatenate([part.index for part in parts]),
        np.concatenate([part.weights for part in parts]) if parts[0].weights is not None else None,
        np.concatenate([part.jet_features for part in parts]),
    )
