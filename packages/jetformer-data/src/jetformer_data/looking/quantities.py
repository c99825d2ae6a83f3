"""What is shown of jets, as tables: quantities of the whole jet, of its leading constituents, and of each constituent."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from jetformer_data.errors import DataError
from jetformer_data.features import FEATURE_SETS, Feature, delta_r
from jetformer_data.raw import RawJets

Array = NDArray[np.float64]
LEADING = 8
# Features that are a column of `raw` under another name.
_SAME = {
    "e": "energy",
    "part_charge": "charge",
    "part_isChargedHadron": "is_charged_hadron",
    "part_isNeutralHadron": "is_neutral_hadron",
    "part_isPhoton": "is_photon",
    "part_isElectron": "is_electron",
    "part_isMuon": "is_muon",
    "part_dphi": "phirel",
}


@dataclass(frozen=True)
class Quantity:
    """`formula(raw)` gives the entries `[entries]` and the jet that each belongs to `[entries]`.

    `low` and `high` are the usual ends of the axis, where it has them.
    """

    name: str
    title: str
    unit: str
    formula: Callable[[RawJets], tuple[Array, NDArray[np.int64]]]
    low: float | None = None
    high: float | None = None
    entry: str = "jets"

    def is_in(self, raw: RawJets) -> bool:
        """Whether these jets have it."""
        try:
            with np.errstate(all="ignore"):
                self.formula(raw)
        except DataError:
            return False
        return True


def _of_jet(formula: Callable[[RawJets], Array]) -> Callable[[RawJets], tuple[Array, NDArray[np.int64]]]:
    return lambda raw: (formula(raw), np.arange(len(raw)))


def _column(name: str) -> Callable[[RawJets], tuple[Array, NDArray[np.int64]]]:
    return _of_jet(lambda raw: raw.column(name))


def _ratio(above: str, below: str) -> Callable[[RawJets], tuple[Array, NDArray[np.int64]]]:
    return _of_jet(lambda raw: raw.column(above) / raw.column(below))


def _leading_delta_r(raw: RawJets) -> tuple[Array, NDArray[np.int64]]:
    """Of the constituents with the most pt of each jet, or the first where there is no pt: files are sorted by it."""
    jet = raw.jet_of
    place = np.arange(len(jet)) - raw.offsets[jet]
    order = np.lexsort((-raw.column("pt"), jet)) if raw.has("pt") else np.arange(len(jet))
    leading = order[place < LEADING]
    distance = raw.column("part_deltaR") if "part_deltaR" in raw.constituents else delta_r(raw)
    return distance[leading], jet[leading]


JET_QUANTITIES = (
    Quantity("jet_mass", "Jet mass", "GeV", _column("jet_mass"), 0, 300),
    Quantity("jet_pt", "Jet $p_T$", "GeV", _column("jet_pt")),
    Quantity(
        "multiplicity", "Constituents in a jet", "", _of_jet(lambda raw: np.diff(raw.offsets).astype(float))
    ),
    Quantity(
        "leading_delta_r",
        rf"$\Delta R$, {LEADING} leading constituents",
        "",
        _leading_delta_r,
        entry="constituents",
    ),
    Quantity("jet_sdmass", "Soft-drop mass", "GeV", _column("jet_sdmass"), 0, 300),
    Quantity("tau21", r"$\tau_{21}$", "", _ratio("jet_tau2", "jet_tau1"), 0, 1),
    Quantity("tau32", r"$\tau_{32}$", "", _ratio("jet_tau3", "jet_tau2"), 0, 1),
)


def feature_quantities(features: Iterable[Feature]) -> tuple[Quantity, ...]:
    """A quantity for each feature of a constituent."""

    def quantity(feature: Feature) -> Quantity:
        return Quantity(
            feature.name,
            feature.name,
            feature.unit,
            lambda raw: (feature.values(raw), raw.jet_of),
            entry="constituents",
        )

    return tuple(map(quantity, features))


def features_of(names: Sequence[str], units: Mapping[str, str]) -> tuple[Feature, ...]:
    """The features that columns of these names are, so that they can be computed for another file too."""
    known = {feature.name: feature for features in FEATURE_SETS.values() for feature in features.features}
    return tuple(known.get(name, Feature(name, units.get(name, ""))) for name in names)


def complete(raw: RawJets) -> RawJets:
    """With momenta and angles of constituents where only their standard features are stored.

    Without a stored axis, jets lie at eta = phi = 0: neither mass nor pt nor anything seen from the axis depends on it.
    """
    columns, jets = dict(raw.constituents), dict(raw.jets)
    for name, ours in _SAME.items():
        if name in columns:
            columns.setdefault(ours, columns[name])
    for name in ("part_pt_log", "pt_log"):
        if name in columns and not raw.has("pt"):
            columns["pt"] = np.exp(raw.column(name))
    if "part_deta" in columns and not raw.has("etarel"):
        outwards = np.where(raw.column("jet_eta") < 0, -1.0, 1.0) if raw.has("jet_eta") else np.ones(len(raw))
        columns["etarel"] = raw.column("part_deta") * outwards[raw.jet_of]
    here = replace(raw, constituents=columns, _derived={})
    if "etarel" in columns and not here.has("jet_eta"):
        jets |= {"jet_eta": np.zeros(len(raw)), "jet_phi": np.zeros(len(raw))}
    return replace(here, jets=jets, _derived={})
