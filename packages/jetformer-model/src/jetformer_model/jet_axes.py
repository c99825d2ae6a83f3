"""Quantities of whole jets that a tagger's accuracy is looked at in bins of: jet pt and multiplicity."""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from jetformer_data.jets import Jets, offsets_of
from jetformer_data.splitting import split_chunks

Array = NDArray[np.float64]
BINS = 8


@dataclass(frozen=True)
class JetAxis:
    """One quantity of each jet, values [jets], in bins with edges [bins + 1]."""

    name: str
    title: str
    unit: str
    values: Array
    edges: Array

    @property
    def bins(self) -> int:
        return len(self.edges) - 1

    def bin_of(self) -> NDArray[np.int64]:
        """The bin of each jet, [jets]."""
        return np.clip(np.searchsorted(self.edges, self.values, side="right") - 1, 0, self.bins - 1)


def jet_axes(path: str | os.PathLike[str], split: str, min_pt_gev: float = 0.0) -> tuple[JetAxis, ...]:
    """The axes that a file has for the jets of one split, in the order of `open_split`.

    Multiplicity counts the constituents from `min_pt_gev` on, all of them, also those beyond the P that a network takes.
    Jet pt is there if the file stores it.
    """
    multiplicities, pts = [], []
    for jets in split_chunks(path, split):
        multiplicities.append(_multiplicity(jets, min_pt_gev))
        if jets.jet_features is not None and "jet_pt" in jets.jet_feature_names:
            pts.append(jets.jet_features[:, jets.jet_feature_names.index("jet_pt")])
    multiplicity = np.concatenate(multiplicities).astype(np.float64)
    # Edges between whole numbers, so that no jet lies on one.
    edges = _edges(np.round(_quantiles(multiplicity)) - 0.5, multiplicity.max() + 0.5)
    axes = [JetAxis("multiplicity", "Constituents in a jet", "", multiplicity, edges)]
    if pts:
        pt = np.concatenate(pts).astype(np.float64)
        edges = _edges(_quantiles(pt), np.nextafter(pt.max(), np.inf))
        axes.append(JetAxis("jet_pt", "Jet $p_T$", "GeV", pt, edges))
    return tuple(axes)


def _quantiles(values: Array) -> Array:
    """Lower edges of bins with the same number of jets each."""
    return np.quantile(values, np.arange(BINS) / BINS)


def _edges(lower: Array, last: float) -> Array:
    return np.unique(np.append(lower, last))


def _multiplicity(jets: Jets, min_pt_gev: float) -> NDArray[np.int64]:
    if min_pt_gev <= 0:
        return np.diff(jets.offsets)
    return np.diff(offsets_of(jets.column("pt") >= min_pt_gev)[jets.offsets])
