"""Feature sets: which numbers of a constituent are stored, as tables of name, unit, formula and published constants.

A feature that a source stores itself, under the same name, is taken from it; the others are computed from what the
source holds. To add a set, write its rows in a module of your own and name it as `my_features:MINE`:

    MINE = FeatureSet("mine", (Feature("pt", "GeV"), Feature("deltaR", "1", delta_r)), "my thesis")

Values are stored as they are, not standardised: `(x - subtract) * multiply` is what a network gets, and a file holds
the constants as its normalisation, `mean = subtract` and `std = 1 / multiply`. `low` and `high` limit the stored value.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jetformer_data.errors import DataError
from jetformer_data.jets import Jets, Normalisation, offsets_of
from jetformer_data.raw import CONSTITUENT_UNITS, JET_UNITS, RawJets

Array = NDArray[np.float64]
Formula = Callable[[RawJets], Array]

# Jet features that are always stored, and those stored where the source has them.
JET_FEATURES = ("jet_pt", "jet_eta", "jet_phi", "jet_mass")
OPTIONAL_JET_FEATURES = ("jet_sdmass", "jet_tau1", "jet_tau2", "jet_tau3", "jet_tau4")

BELOW_MIN_PT = "constituents below min_pt"
BEYOND_MAX = "constituents beyond max_constituents"

# Jets whose features are computed at a time, so that columns and results stay in the processor's cache: half as fast
# again as 20,000 jets at once.
_BLOCK_JETS = 512


@dataclass(frozen=True)
class Feature:
    """One column. `formula(raw)` gives float64 `[constituents]`; without it, it is the raw column of the same name."""

    name: str
    unit: str
    formula: Formula | None = None
    subtract: float = 0.0
    multiply: float = 1.0
    low: float = -np.inf
    high: float = np.inf

    def values(self, raw: RawJets) -> NDArray[Any]:
        """The feature of every constituent, `[constituents]`, between `low` and `high`."""
        if self.formula is None or self.name in raw.constituents:
            values: NDArray[Any] = raw.column(self.name)
        else:
            values = self.formula(raw)
        if self.low > -np.inf or self.high < np.inf:
            values = np.clip(values, self.low, self.high)
        return values


@dataclass(frozen=True)
class FeatureSet:
    """Features in order, and where they were published. `has_constants`: the published constants standardise them."""

    name: str
    features: tuple[Feature, ...]
    source: str
    has_constants: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(feature.name for feature in self.features)

    @property
    def units(self) -> tuple[str, ...]:
        return tuple(feature.unit for feature in self.features)

    @property
    def normalisation(self) -> Normalisation | None:
        """The published constants, or None where a set has none."""
        if not self.has_constants:
            return None
        return Normalisation(
            np.array([feature.subtract for feature in self.features], np.float64),
            np.array([1 / feature.multiply for feature in self.features], np.float64),
        )

    def table(self) -> list[list[Any]]:
        """Name, unit, constants and limits a row, as JSON holds them."""
        return [
            [
                f.name,
                f.unit,
                f.subtract,
                f.multiply,
                *(x if np.isfinite(x) else None for x in (f.low, f.high)),
            ]
            for f in self.features
        ]


def to_jets(
    raw: RawJets,
    feature_set: FeatureSet,
    max_constituents: int | None = None,
    min_pt: float = 0.0,
    jet_features: Sequence[str] | None = None,
) -> tuple[Jets, dict[str, int]]:
    """The jets with these features, constituents by falling pt, and how many constituents were dropped for what.

    Constituents below `min_pt` (GeV) go first, then those beyond `max_constituents`; what belongs to the whole jet is
    computed before. `jet_features` are those that the source has unless they are named. Raises `DataError` where a
    feature can be neither taken from the source nor computed, or is not finite.
    """
    named = (
        (*JET_FEATURES, *(n for n in OPTIONAL_JET_FEATURES if raw.has(n)))
        if jet_features is None
        else jet_features
    )
    with np.errstate(all="ignore"):  # what is not finite is refused below
        whole = _with_jet_columns(raw, named)
        chosen, dropped = _choose(whole, max_constituents, min_pt)
        constituents = np.empty((chosen.offsets[-1], len(feature_set.features)), np.float32)
        for start in range(0, len(raw), _BLOCK_JETS):
            block = chosen.slice(start, start + _BLOCK_JETS)
            first = chosen.offsets[start]
            last = first + block.offsets[-1]
            for k, feature in enumerate(feature_set.features):
                constituents[first:last, k] = feature.values(block)
        of_jets = np.empty((len(raw), len(named)), np.float32)
        for k, name in enumerate(named):
            of_jets[:, k] = chosen.column(name)
    _require_finite(constituents, feature_set.names, raw.where, chosen.offsets)
    _require_finite(of_jets, named, raw.where)
    jets = Jets(
        constituents=constituents,
        offsets=chosen.offsets,
        labels=chosen.labels,
        feature_names=feature_set.names,
        feature_units=feature_set.units,
        class_names=chosen.class_names,
        jet_features=of_jets if named else None,
        jet_feature_names=tuple(named),
        jet_feature_units=tuple(JET_UNITS[name] for name in named),
        normalisation=feature_set.normalisation,
        groups=chosen.jets["event"].astype(np.int64) if "event" in chosen.jets else None,
    )
    return jets, dropped


def find_feature_set(name: str) -> FeatureSet:
    """The feature set of this name, or `NAME` of an importable module for "module:NAME"; raises `DataError` else."""
    module, _, attribute = name.partition(":")
    if attribute:
        try:
            found = getattr(import_module(module), attribute)
        except (ImportError, AttributeError, ValueError) as error:
            raise DataError(f"features '{name}': cannot be imported ({error})") from error
        if not isinstance(found, FeatureSet):
            raise DataError(f"features '{name}': is a {type(found).__name__}, expected a FeatureSet")
        return found
    if name not in FEATURE_SETS:
        raise DataError(f"features '{name}': expected one of {', '.join(FEATURE_SETS)}, or module:NAME")
    return FEATURE_SETS[name]


# What happens to the constituents of a jet


def _with_jet_columns(raw: RawJets, named: Sequence[str]) -> RawJets:
    """Quantities of the whole jet as stored columns, so that they don't change when constituents are dropped."""
    wanted = dict.fromkeys(("jet_pt", "jet_eta", "jet_phi", "jet_energy", *named))
    return replace(raw, jets={**raw.jets, **{name: raw.column(name) for name in wanted if raw.has(name)}})


def _choose(raw: RawJets, max_constituents: int | None, min_pt: float) -> tuple[RawJets, dict[str, int]]:
    # As stored and compared by others, so that a cut made now and one made later agree.
    pt = raw.column("pt").astype(np.float32)
    _require_finite(pt[:, None], ("pt",), raw.where, raw.offsets)
    counts = np.diff(raw.offsets)
    order = _falling(pt, raw.offsets)
    is_hard = (pt if order is None else pt[order]) >= min_pt if min_pt > 0 else np.ones(len(pt), np.bool_)
    kept = is_hard.copy()
    if max_constituents is not None:
        kept &= np.arange(len(pt)) - np.repeat(raw.offsets[:-1], counts) < max_constituents
    dropped = {BELOW_MIN_PT: int((~is_hard).sum()), BEYOND_MAX: int((is_hard & ~kept).sum())}
    if order is None and kept.all():
        return raw, dropped
    rows = np.flatnonzero(kept) if order is None else order[kept]
    chosen = replace(
        raw,
        constituents={name: values[rows] for name, values in raw.constituents.items()},
        # Differences of a running count, since np.add.reduceat goes wrong on jets without constituents.
        offsets=offsets_of(kept)[raw.offsets],
        _derived={},
    )
    return chosen, dropped


def _falling(pt: NDArray[np.float32], offsets: NDArray[np.int64]) -> NDArray[np.int64] | None:
    """Rows by falling pt within each jet, equal ones in their order; None where they are so already, as in most files."""
    rises = np.zeros(len(pt) + 1, np.bool_)
    np.greater(pt[1:], pt[:-1], out=rises[1:-1]) if len(pt) else None
    rises[offsets] = False
    if not rises.any():
        return None
    is_unsorted = np.diff(np.cumsum(rises)[offsets]) > 0
    # Sorting is the slowest step of all: only the jets that need it.
    jet = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    rows = np.flatnonzero(is_unsorted[jet])
    order = np.arange(len(pt))
    order[rows] = rows[np.lexsort((-pt[rows], jet[rows]))]
    return order


def _require_finite(
    values: NDArray[Any], names: Sequence[str], where: str, offsets: NDArray[np.int64] | None = None
) -> None:
    if np.isfinite(values).all():
        return
    row, column = (int(i[0]) for i in np.nonzero(~np.isfinite(values)))
    jet = row if offsets is None else int(np.searchsorted(offsets, row, side="right")) - 1
    raise DataError(f"{where}: '{names[column]}' comes to {values[row, column]} in the jet at place {jet}")


# Formulas


def _of_jet(raw: RawJets, name: str) -> Array:
    """A column of jets, repeated for each constituent."""
    return np.repeat(raw.column(name), np.diff(raw.offsets))


def delta_r(raw: RawJets) -> Array:
    """Distance from the jet axis in the plane of eta and phi."""
    etarel, phirel = raw.column("etarel"), raw.column("phirel")
    # np.hypot guards against overflow, which cannot happen here, at four times the price
    return np.asarray(np.sqrt(etarel * etarel + phirel * phirel))


def _log(name: str) -> Formula:
    return lambda raw: np.log(raw.column(name))


def _ratio(name: str, of_jet: str) -> Formula:
    return lambda raw: raw.column(name) / _of_jet(raw, of_jet)


def _log_ratio(name: str, of_jet: str) -> Formula:
    return lambda raw: np.log(raw.column(name) / _of_jet(raw, of_jet))


def _tanh(name: str) -> Formula:
    return lambda raw: np.tanh(raw.column(name))


def _column(name: str) -> Formula:
    return lambda raw: raw.column(name)


def _signed_deta(raw: RawJets) -> Array:
    """eta relative to the jet, counted outwards: positive is away from the middle of the detector."""
    return raw.column("etarel") * np.repeat(
        np.where(raw.column("jet_eta") < 0, -1.0, 1.0), np.diff(raw.offsets)
    )


def _cos_theta(raw: RawJets) -> Array:
    """Cosine of the angle to the beam."""
    pz, pt = raw.column("pz"), raw.column("pt")
    return np.asarray(pz / np.hypot(pt, pz))


def _cos_theta_rel(raw: RawJets) -> Array:
    """Cosine of the angle to the jet axis, in space."""
    px, py, pz = (raw.column(name) for name in ("px", "py", "pz"))
    eta, phi = raw.column("jet_eta"), raw.column("jet_phi")
    axis = np.stack([np.cos(phi), np.sin(phi), np.sinh(eta)]) / np.cosh(eta)
    x, y, z = np.repeat(axis, np.diff(raw.offsets), axis=1)
    cosine = (px * x + py * y + pz * z) / np.sqrt(px * px + py * py + pz * pz)
    return np.asarray(np.clip(cosine, -1, 1))


def _rotated(row: int) -> Formula:
    """Angles about the jet axis, turned until the jet's principal axis points along phi and the harder side is up.

    The principal axis is that of the pt-weighted second moments. This turn is our own choice: how the HLS4ML set turned
    its jets was not found in print, so computed columns need not equal those of its files, which are taken as they are.
    """

    def formula(raw: RawJets) -> Array:
        etarel, phirel, pt = raw.column("etarel"), raw.column("phirel"), raw.column("pt")
        jet, jets = raw.jet_of, len(raw)

        def total(weight: Array) -> Array:
            return np.bincount(jet, weight, minlength=jets).astype(np.float64)

        # Angle of the larger eigenvalue's vector of [[ee, ep], [ep, pp]].
        ee, ep, pp = total(pt * etarel**2), total(pt * etarel * phirel), total(pt * phirel**2)
        turn = np.pi / 2 - 0.5 * np.arctan2(2 * ep, ee - pp)
        cosine, sine = np.cos(turn)[jet], np.sin(turn)[jet]
        turned = np.stack([cosine * etarel - sine * phirel, sine * etarel + cosine * phirel])
        # The axis has two ends: the one with more pt is up.
        up = np.where(total(pt * np.sign(turned[1])) < 0, -1.0, 1.0)
        return np.asarray(up[jet] * turned[row])

    return formula


# The tables


def _jetclass(
    name: str, unit: str, formula: Formula, subtract: float = 0.0, multiply: float = 1.0
) -> Feature:
    """A row of the JetClass table. What a network gets is limited to [-5, 5]; so is, in other words, what is stored."""
    return Feature(name, unit, formula, subtract, multiply, subtract - 5 / multiply, subtract + 5 / multiply)


_JETCLASS_MOMENTA = (
    _jetclass("part_pt_log", "log GeV", _log("pt"), 1.7, 0.7),
    _jetclass("part_e_log", "log GeV", _log("energy"), 2.0, 0.7),
    _jetclass("part_logptrel", "1", _log_ratio("pt", "jet_pt"), -4.7, 0.7),
    _jetclass("part_logerel", "1", _log_ratio("energy", "jet_energy"), -4.7, 0.7),
    _jetclass("part_deltaR", "1", delta_r, 0.2, 4.0),
)
_JETCLASS_KINDS = (
    _jetclass("part_charge", "e", _column("charge")),
    _jetclass("part_isChargedHadron", "1", _column("is_charged_hadron")),
    _jetclass("part_isNeutralHadron", "1", _column("is_neutral_hadron")),
    _jetclass("part_isPhoton", "1", _column("is_photon")),
    _jetclass("part_isElectron", "1", _column("is_electron")),
    _jetclass("part_isMuon", "1", _column("is_muon")),
)
_JETCLASS_TRACKS = (
    _jetclass("part_d0", "tanh mm", _tanh("d0")),
    Feature("part_d0err", "mm", _column("d0_error"), low=0.0, high=1.0),
    _jetclass("part_dz", "tanh mm", _tanh("dz")),
    Feature("part_dzerr", "mm", _column("dz_error"), low=0.0, high=1.0),
)
_JETCLASS_ANGLES = (
    _jetclass("part_deta", "1", _signed_deta),
    _jetclass("part_dphi", "rad", _column("phirel")),
)
_HLS4ML = "HLS4ML LHC jet set (doi:10.5281/zenodo.3602260)"
_JETCLASS = "JetClass (doi:10.5281/zenodo.6619768) and arXiv:2202.03772, table 2"

FEATURE_SETS = {
    feature_set.name: feature_set
    for feature_set in (
        FeatureSet(
            "hls4ml-3",
            (Feature("pt", "GeV"), Feature("etarel", "1"), Feature("phirel", "rad")),
            f"{_HLS4ML}, columns 5, 8 and 11",
        ),
        FeatureSet(
            "hls4ml-16",
            (
                Feature("px", "GeV"),
                Feature("py", "GeV"),
                Feature("pz", "GeV"),
                Feature("e", "GeV", _column("energy")),
                Feature("erel", "1", _ratio("energy", "jet_energy")),
                Feature("pt", "GeV"),
                Feature("ptrel", "1", _ratio("pt", "jet_pt")),
                Feature("eta", "1"),
                Feature("etarel", "1"),
                Feature("etarot", "1", _rotated(0)),
                Feature("phi", "rad"),
                Feature("phirel", "rad"),
                Feature("phirot", "rad", _rotated(1)),
                Feature("deltaR", "1", delta_r),
                Feature("costheta", "1", _cos_theta),
                Feature("costhetarel", "1", _cos_theta_rel),
            ),
            _HLS4ML,
        ),
        FeatureSet(
            "jetclass-17",
            (*_JETCLASS_MOMENTA, *_JETCLASS_KINDS, *_JETCLASS_TRACKS, *_JETCLASS_ANGLES),
            _JETCLASS,
            has_constants=True,
        ),
        FeatureSet(
            "jetclass-kin",
            (*_JETCLASS_MOMENTA, *_JETCLASS_ANGLES),
            f"{_JETCLASS}, kinematics",
            has_constants=True,
        ),
        FeatureSet(
            "p4-7",
            (
                Feature("etarel", "1"),
                Feature("phirel", "rad"),
                Feature("pt_log", "log GeV", _log("pt")),
                Feature("e_log", "log GeV", _log("energy")),
                Feature("logptrel", "1", _log_ratio("pt", "jet_pt")),
                Feature("logerel", "1", _log_ratio("energy", "jet_energy")),
                Feature("deltaR", "1", delta_r),
            ),
            "ParticleNet (arXiv:1902.08570), table 1",
        ),
        FeatureSet(
            "particles",
            tuple(
                Feature(name, CONSTITUENT_UNITS[name])
                for name in (
                    *("px", "py", "pz", "energy", "charge"),
                    *("is_charged_hadron", "is_neutral_hadron", "is_photon", "is_electron", "is_muon"),
                    *("d0", "d0_error", "dz", "dz_error"),
                )
            ),
            "what the JetClass layout holds of a particle",
        ),
    )
}
