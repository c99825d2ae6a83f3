"""Mean and deviation of features, streamed, over real constituents only (padding never counts)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jetformer_data.errors import DataError
from jetformer_data.filesets import Paths
from jetformer_data.jets import Normalisation
from jetformer_data.padding import FEATURES
from jetformer_data.scaling import normalise
from jetformer_data.splitting import FRACTIONS
from jetformer_data.streaming import Stream, StreamOptions

__all__ = ["Welford", "normalise", "training_normalisation", "training_statistics"]

_JETS = 4096


class Welford:
    """Running mean, standard deviation, least and most a feature, in float64 and without keeping the values.

    Blocks are merged by Chan, Golub, LeVeque (1979): M2 = M2a + M2b + (mb - ma)^2 na nb / (na + nb), which stays exact
    where a plain sum of squares loses its digits.
    """

    def __init__(self, features: int) -> None:
        self.count = 0
        self.mean = np.zeros(features)
        self.least, self.most = np.full(features, np.inf), np.full(features, -np.inf)
        self._squares = np.zeros(features)

    def update(self, values: NDArray[np.floating], mask: NDArray[np.bool_] | None = None) -> Welford:
        """Take in `values` `[..., features]`; where `mask` `[...]` is given, only those where it is True."""
        block = Welford(len(self.mean))
        rows = values[mask] if mask is not None else values.reshape(-1, values.shape[-1])
        if len(rows):
            rows = rows.astype(np.float64)
            block.count = len(rows)
            block.mean = rows.mean(axis=0)
            block.least, block.most = rows.min(axis=0), rows.max(axis=0)
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
            self.least = np.minimum(self.least, other.least)
            self.most = np.maximum(self.most, other.most)
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

    def to_dict(self) -> dict[str, Any]:
        """All that it has seen, for JSON, so that it can be merged elsewhere."""
        state = {"mean": self.mean, "squares": self._squares, "least": self.least, "most": self.most}
        return {"count": self.count, **{name: values.tolist() for name, values in state.items()}}

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> Welford:
        welford = cls(len(state["mean"]))
        welford.count, welford._squares = int(state["count"]), np.array(state["squares"], float)
        for name in ("mean", "least", "most"):
            setattr(welford, name, np.array(state[name], float))
        return welford


def training_statistics(
    paths: Paths,
    constituents: int | None,
    features: Sequence[str] = FEATURES,
    min_pt: float = 0.0,
    fractions: Sequence[float] = FRACTIONS,
    stratified: bool = False,
) -> Welford:
    """What `training_normalisation` is computed from: merge those of several sets of files to get that of all."""
    options = StreamOptions(
        batch=_JETS,
        features=tuple(features),
        max_constituents=constituents,
        min_pt=min_pt,
        split="train",
        fractions=tuple(fractions),
        stratified=stratified,
        shuffle=False,
    )
    welford = Welford(len(features))
    for batch in Stream(paths, options, workers=1):
        welford.update(batch.constituents)
    return welford


def training_normalisation(
    paths: Paths,
    constituents: int | None,
    features: Sequence[str] = FEATURES,
    min_pt: float = 0.0,
    fractions: Sequence[float] = FRACTIONS,
    stratified: bool = False,
) -> Normalisation:
    """Constants over the real constituents of the training split of one or more files, with the cuts of `padded`.

    `constituents`: the first so many of each jet count; None: all of them.
    """
    return training_statistics(paths, constituents, features, min_pt, fractions, stratified).normalisation()
