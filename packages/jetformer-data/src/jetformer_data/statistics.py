"""Mean and deviation of features, streamed, over real constituents only (padding never counts)."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from jetformer_data.errors import DataError
from jetformer_data.jets import Normalisation
from jetformer_data.padding import FEATURES, padded
from jetformer_data.splitting import FRACTIONS, split_chunks


class Welford:
    """Running mean and standard deviation a feature, in float64 and without keeping the values.

    Blocks are merged by Chan, Golub, LeVeque (1979): M2 = M2a + M2b + (mb - ma)^2 na nb / (na + nb), which stays exact
    where a plain sum of squares loses its digits.
    """

    def __init__(self, features: int) -> None:
        self.count = 0
        self.mean = np.zeros(features)
        self._squares = np.zeros(features)

    def update(self, values: NDArray[np.floating], mask: NDArray[np.bool_] | None = None) -> Welford:
        """Take in `values` `[..., features]`; where `mask` `[...]` is given, only those where it is True."""
        block = Welford(len(self.mean))
        rows = values[mask] if mask is not None else values.reshape(-1, values.shape[-1])
        if len(rows):
            rows = rows.astype(np.float64)
            block.count = len(rows)
            block.mean = rows.mean(axis=0)
            block._squares = ((rows - block.mean) ** 2).sum(axis=0)
        return self.merge(block)

    def merge(self, other: Welford) -> Welford:
        """Take in all that `other` has seen."""
        total = self.count + other.count
        if other.count:
            step = other.mean - self.mean
            self._squares += other._squares + step**2 * (self.count * other.count / total)
            self.mean = self.mean + step * (other.count / total)
            self.count = total
        return self

    @property
    def std(self) -> NDArray[np.float64]:
        """Population standard deviation."""
        return np.sqrt(self._squares / max(1, self.count))

    def normalisation(self) -> Normalisation:
        """The constants so far; a feature that never varies gets deviation 1, so that dividing by it is safe."""
        if not self.count:
            raise DataError("no real constituents were seen, so there is no mean to normalise with")
        return Normalisation(self.mean.copy(), np.where(self.std > 0, self.std, 1.0))


def training_normalisation(
    path: str | os.PathLike[str],
    constituents: int,
    features: Sequence[str] = FEATURES,
    min_pt: float = 0.0,
    fractions: Sequence[float] = FRACTIONS,
) -> Normalisation:
    """Constants over the real constituents of the training split of a file, with the cuts of `padded`."""
    welford = Welford(len(features))
    for jets in split_chunks(path, "train", fractions):
        welford.update(*padded(jets, constituents, features, min_pt))
    return welford.normalisation()


def normalise(
    x: NDArray[np.floating], mask: NDArray[np.bool_], normalisation: Normalisation
) -> NDArray[np.float32]:
    """`(x - mean) / std` in float64, then float32; zeros where `mask` (True = real constituent) is False."""
    normal = (x.astype(np.float64) - normalisation.mean) / normalisation.std
    return np.where(mask[..., None], normal, 0.0).astype(np.float32)
