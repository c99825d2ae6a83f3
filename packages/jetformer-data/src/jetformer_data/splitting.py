"""Which jets train, validate and test: decided by a jet's position in its file and nothing else."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from jetformer_data.errors import DataError
from jetformer_data.jets import Jets
from jetformer_data.padding import FEATURES, padded
from jetformer_data.schema import Reader

Split = Literal["train", "validation", "test", "all"]
SPLITS = ("train", "validation", "test", "all")
FRACTIONS = (0.8, 0.1, 0.1)


@dataclass(frozen=True, eq=False)
class PaddedJets:
    """Jets of one split, not normalised: `x` float32 `[jets, constituents, features]`, `mask` (True = real), `labels`."""

    x: NDArray[np.float32]
    mask: NDArray[np.bool_]
    labels: NDArray[np.int64]
    feature_names: tuple[str, ...]
    feature_units: tuple[str, ...]
    class_names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)


def split_mask(
    jets_total: int, split: str, fractions: Sequence[float] = FRACTIONS, start: int = 0
) -> NDArray[np.bool_]:
    """Whether each of the jets at positions `start:jets_total` belongs to `split`, bool `[jets_total - start]`.

    A jet keeps its split when jets are added at the end of the file. `split` is train, validation, test or all.
    """
    if split not in SPLITS:
        raise DataError(f"split '{split}': expected one of {', '.join(SPLITS)}")
    if len(fractions) != 3 or min(fractions) < 0 or abs(sum(fractions) - 1) > 1e-9:
        raise DataError(f"fractions {tuple(fractions)}: expected three numbers, none negative, with sum 1")
    if split == "all":
        return np.ones(max(0, jets_total - start), bool)
    low, high = {
        "train": (0.0, fractions[0]),
        "validation": (fractions[0], fractions[0] + fractions[1]),
        "test": (fractions[0] + fractions[1], 1.1),
    }[split]
    uniform = _splitmix64(np.arange(start, jets_total, dtype=np.uint64)) / 2.0**64
    return (uniform >= low) & (uniform < high)


def split_chunks(
    path: str | os.PathLike[str],
    split: str = "all",
    fractions: Sequence[float] = FRACTIONS,
    jets: int = 20_000,
) -> Iterator[Jets]:
    """The jets of one split, read in pieces of at most `jets` jets of the file."""
    with Reader(path) as reader:
        for start in range(0, max(1, len(reader)), jets):
            stop = min(start + jets, len(reader))
            yield reader.read(start, stop).select(split_mask(stop, split, fractions, start))


def load(
    path: str | os.PathLike[str],
    split: str,
    constituents: int,
    features: Sequence[str] = FEATURES,
    min_pt: float = 0.0,
    fractions: Sequence[float] = FRACTIONS,
) -> PaddedJets:
    """Labels and padded, unnormalised arrays of one split of a file (see `padded` for the cuts)."""
    parts, labels = [], []
    for jets in split_chunks(path, split, fractions):
        parts.append(padded(jets, constituents, features, min_pt))
        labels.append(jets.labels)
    units = dict(zip(jets.feature_names, jets.feature_units, strict=True))
    return PaddedJets(
        x=np.concatenate([x for x, _ in parts]),
        mask=np.concatenate([mask for _, mask in parts]),
        labels=np.concatenate(labels),
        feature_names=tuple(features),
        feature_units=tuple(units[name] for name in features),
        class_names=jets.class_names,
    )


def _splitmix64(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The output function of SplitMix64 (Steele, Lea, Flood 2014): a bijection that scatters consecutive integers."""
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
