"""Jets in memory: ragged arrays and the names that give their columns a meaning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jetformer_data.errors import SchemaError

UNITS = {"pt": "GeV", "etarel": "1", "phirel": "rad"}
JET_UNITS = {"jet_pt": "GeV", "jet_eta": "1", "jet_phi": "rad", "jet_mass": "GeV"}


@dataclass(frozen=True)
class Normalisation:
    """Mean and standard deviation a feature, float64 `[features]`, over real constituents of the training split."""

    mean: NDArray[np.float64]
    std: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Jets:
    """A ragged set of jets; the constituents of jet `j` are the rows `offsets[j]:offsets[j + 1]`.

    constituents    float32 `[constituents, features]`, sorted by falling pt within a jet
    offsets         int64 `[jets + 1]`
    labels          int64 `[jets]`, index into `class_names`
    jet_features    float32 `[jets, jet_features]`, or None
    normalisation   constants for `feature_names`, or None
    provenance      what made the jets: program and version, seed, settings, source hashes
    groups          int64 `[jets]`, or None: jets of one group, such as one collision, are never split
    """

    constituents: NDArray[np.float32]
    offsets: NDArray[np.int64]
    labels: NDArray[np.int64]
    feature_names: tuple[str, ...]
    feature_units: tuple[str, ...]
    class_names: tuple[str, ...]
    jet_features: NDArray[np.float32] | None = None
    jet_feature_names: tuple[str, ...] = ()
    jet_feature_units: tuple[str, ...] = ()
    normalisation: Normalisation | None = None
    provenance: dict[str, Any] = field(default_factory=dict)
    groups: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def multiplicity(self) -> NDArray[np.int64]:
        """Number of constituents a jet, int64 `[jets]`."""
        return np.diff(self.offsets)

    def column(self, name: str) -> NDArray[np.float32]:
        """One feature of every constituent, float32 `[constituents]`."""
        return self.constituents[:, feature_columns([name], self.feature_names)[0]]

    def jet_column(self, name: str) -> NDArray[np.float32]:
        """One feature of every jet, float32 `[jets]`."""
        if self.jet_features is None:
            raise SchemaError(f"jet feature '{name}': this set of jets has no jet features")
        return self.jet_features[:, feature_columns([name], self.jet_feature_names)[0]]

    def select(self, chosen: NDArray[Any]) -> Jets:
        """The jets that a boolean mask `[jets]` or an array of positions picks, in that order."""
        positions = (
            np.flatnonzero(chosen) if np.asarray(chosen).dtype == bool else np.asarray(chosen, np.int64)
        )
        counts = self.multiplicity[positions]
        offsets = offsets_of(counts)
        rows = np.arange(offsets[-1]) + np.repeat(self.offsets[positions] - offsets[:-1], counts)
        jet_features = None if self.jet_features is None else self.jet_features[positions]
        return replace(
            self,
            constituents=self.constituents[rows],
            offsets=offsets,
            labels=self.labels[positions],
            jet_features=jet_features,
            groups=None if self.groups is None else self.groups[positions],
        )


def offsets_of(counts: NDArray[np.integer[Any]] | NDArray[np.bool_]) -> NDArray[np.int64]:
    """Offsets `[jets + 1]` of jets with these numbers of constituents."""
    return np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]).astype(np.int64)


def feature_columns(wanted: Sequence[str], available: Sequence[str]) -> list[int]:
    """Positions of named features; features are found by name and never by position."""
    missing = [name for name in wanted if name not in available]
    if missing:
        raise SchemaError(f"feature '{missing[0]}': not among the stored features ({', '.join(available)})")
    return [list(available).index(name) for name in wanted]


def concatenate(sets: Sequence[Jets]) -> Jets:
    """One set of jets after another; names, units and provenance are those of the first."""
    first = sets[0]
    jet_features = [jets.jet_features for jets in sets if jets.jet_features is not None]
    groups = [jets.groups for jets in sets if jets.groups is not None]
    return replace(
        first,
        constituents=np.concatenate([jets.constituents for jets in sets]),
        offsets=offsets_of(np.concatenate([jets.multiplicity for jets in sets])),
        labels=np.concatenate([jets.labels for jets in sets]),
        jet_features=np.concatenate(jet_features) if jet_features else None,
        groups=np.concatenate(groups) if groups else None,
    )


def wrap_phi(phi: NDArray[Any]) -> NDArray[Any]:
    """An angle in radians brought into [-pi, pi)."""
    return (phi + np.pi) % (2 * np.pi) - np.pi
