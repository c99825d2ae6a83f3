"""Which jets train, validate and test: decided by a hash of a jet's key and nothing else.

The key of a jet is its group where the file has groups (two jets of one collision are never split), else its position.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from jetformer_data.errors import DataError
from jetformer_data.hashing import uniform
from jetformer_data.jets import Jets
from jetformer_data.padding import FEATURES, padded
from jetformer_data.schema import Reader

Split = Literal["train", "validation", "test", "all"]
SPLITS = ("train", "validation", "test", "all")
FRACTIONS = (0.8, 0.1, 0.1)
_BEYOND = 1.1  # above every hash


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


@dataclass(frozen=True, eq=False)
class SplitRule:
    """A jet belongs to the split where the hash of its key, a number in [0, 1), is in `[low, high)` of its class.

    low, high: float64 `[classes]`
    """

    low: NDArray[np.float64]
    high: NDArray[np.float64]

    def mask(self, keys: NDArray[np.integer], labels: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether each jet belongs to the split, bool `[jets]`."""
        place = uniform(keys)
        return (place >= self.low[labels]) & (place < self.high[labels])


def split_rule(
    reader: Reader, split: str, fractions: Sequence[float] = FRACTIONS, stratified: bool = False
) -> SplitRule:
    """The rule of one file. `split` is train, validation, test or all.

    `stratified` gives each class the exact fractions, at a price: the limits then move a little when jets are added.
    """
    bounds = _bounds(split, fractions)
    if not stratified or split == "all":
        return SplitRule(*(np.full(len(reader.class_names), bound) for bound in bounds))
    keys, labels = jet_keys(reader), reader.per_jet("labels")
    limits = [
        _quantiles(np.unique(keys[labels == label]), bounds) for label in range(len(reader.class_names))
    ]
    if reader.has_groups and sum(number for _, _, number in limits) > len(np.unique(keys)):
        raise DataError(f"{reader.path}: cannot be stratified, since a group holds jets of several classes")
    return SplitRule(np.array([low for low, _, _ in limits]), np.array([high for _, high, _ in limits]))


def jet_keys(reader: Reader, start: int = 0, stop: int | None = None) -> NDArray[np.int64]:
    """What decides the split of jets `start:stop`: their groups, or else their positions."""
    if reader.has_groups:
        return reader.per_jet("groups", start, stop)
    return np.arange(start, len(reader) if stop is None else stop)


def file_mask(
    reader: Reader, split: str, fractions: Sequence[float] = FRACTIONS, stratified: bool = False
) -> NDArray[np.bool_]:
    """Whether each jet of a file belongs to `split`, bool `[jets]`."""
    return split_rule(reader, split, fractions, stratified).mask(jet_keys(reader), reader.per_jet("labels"))


def split_mask(
    jets_total: int,
    split: str,
    fractions: Sequence[float] = FRACTIONS,
    start: int = 0,
    groups: NDArray[np.int64] | None = None,
) -> NDArray[np.bool_]:
    """Whether each of the jets at positions `start:jets_total` belongs to `split`, bool `[jets_total - start]`.

    A jet keeps its split when jets are added at the end of the file. `groups` `[jets_total - start]` decide where they
    are given; `file_mask` knows whether a file has them.
    """
    low, high = _bounds(split, fractions)
    place = uniform(np.arange(start, jets_total) if groups is None else groups)
    return (place >= low) & (place < high)


def split_chunks(
    path: str | os.PathLike[str],
    split: str = "all",
    fractions: Sequence[float] = FRACTIONS,
    jets: int = 20_000,
    stratified: bool = False,
) -> Iterator[Jets]:
    """The jets of one split, read in pieces of at most `jets` jets of the file."""
    with Reader(path) as reader:
        rule = split_rule(reader, split, fractions, stratified)
        for start in range(0, max(1, len(reader)), jets):
            piece = reader.read(start, start + jets)
            yield piece.select(rule.mask(jet_keys(reader, start, start + len(piece)), piece.labels))


def load(
    path: str | os.PathLike[str],
    split: str,
    constituents: int,
    features: Sequence[str] = FEATURES,
    min_pt: float = 0.0,
    fractions: Sequence[float] = FRACTIONS,
    stratified: bool = False,
) -> PaddedJets:
    """Labels and padded, unnormalised arrays of one split of a file (see `padded` for the cuts)."""
    parts, labels = [], []
    for jets in split_chunks(path, split, fractions, stratified=stratified):
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


def _bounds(split: str, fractions: Sequence[float]) -> tuple[float, float]:
    if split not in SPLITS:
        raise DataError(f"split '{split}': expected one of {', '.join(SPLITS)}")
    if len(fractions) != 3 or min(fractions) < 0 or abs(sum(fractions) - 1) > 1e-9:
        raise DataError(f"fractions {tuple(fractions)}: expected three numbers, none negative, with sum 1")
    return {
        "train": (0.0, fractions[0]),
        "validation": (fractions[0], fractions[0] + fractions[1]),
        "test": (fractions[0] + fractions[1], _BEYOND),
        "all": (0.0, _BEYOND),
    }[split]


def _quantiles(keys: NDArray[np.integer], bounds: tuple[float, float]) -> tuple[float, float, int]:
    """Limits between which exactly the wanted share of these distinct keys lies, and how many keys there are."""
    ordered = np.append(np.sort(uniform(keys)), _BEYOND)
    low, high = (float(ordered[round(min(bound, 1.0) * len(keys))]) for bound in bounds)
    return low, high, len(keys)
