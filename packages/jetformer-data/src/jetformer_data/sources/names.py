"""The one table of synonyms: what other people call the columns that `raw` names, in any case, with any prefix below."""

from __future__ import annotations

from collections.abc import Iterable

_SYNONYMS = {
    "px": "px p_x",
    "py": "py p_y",
    "pz": "pz p_z",
    "energy": "e energy",
    "pt": "pt p_t",
    "eta": "eta",
    "phi": "phi",
    "etarel": "etarel deta eta_rel",
    "phirel": "phirel dphi phi_rel",
    "rapidity": "rapidity",
    "pdg_id": "pdgid pdg_id pid",
    "charge": "charge",
    "is_charged_hadron": "ischargedhadron is_charged_hadron",
    "is_neutral_hadron": "isneutralhadron is_neutral_hadron",
    "is_photon": "isphoton is_photon",
    "is_electron": "iselectron is_electron",
    "is_muon": "ismuon is_muon",
    "d0": "d0val d0",
    "d0_error": "d0err d0_error",
    "dz": "dzval dz",
    "dz_error": "dzerr dz_error",
}
_PREFIXES = ("part_", "particle_", "constituent_", "constituents_", "j1_", "pfcand_")
_CANONICAL = {synonym: name for name, words in _SYNONYMS.items() for synonym in words.split()}

LABELS = ("labels", "label", "jet_label", "is_signal_new", "is_signal", "truth_label", "target", "y")
CLASS_NAMES = ("class_names", "classes")
OFFSETS = ("offsets",)
# Four-vectors in one array; the order of the four is found out, see `vector_layouts`.
FOUR_VECTORS = ("p4", "four_vectors", "fourvectors", "constituents_p4")
# pt, rapidity, phi and PDG number in one padded array, as in the quark/gluon reference (doi:10.5281/zenodo.3164691).
PT_Y_PHI_ID = "X"
# Classes whose names are known from the name of the column that numbers them.
KNOWN_CLASSES = {"is_signal_new": ("QCD", "top")}

JETS = {
    "jet_pt": "jet_pt",
    "jet_eta": "jet_eta",
    "jet_phi": "jet_phi",
    "jet_energy": "jet_energy",
    "jet_mass": "jet_mass",
    "jet_sdmass": "jet_sdmass",
    "jet_tau1": "jet_tau1",
    "jet_tau2": "jet_tau2",
    "jet_tau3": "jet_tau3",
    "jet_tau4": "jet_tau4",
}


def canonical(name: str) -> str | None:
    """Our name of a constituents' column, None where it is unknown.

    >>> canonical("part_energy"), canonical("PX"), canonical("j1_deltaR")
    ('energy', 'px', None)
    """
    lower = name.lower()
    for prefix in _PREFIXES:
        lower = lower.removeprefix(prefix)
    return _CANONICAL.get(lower)


def canonical_columns(names: Iterable[str]) -> dict[str, str]:
    """Our name -> the file's, of all that are known; the first of several synonyms counts."""
    found: dict[str, str] = {}
    for name in names:
        ours = canonical(name)
        if ours is not None:
            found.setdefault(ours, name)
    return found


def first_of(wanted: Iterable[str], names: Iterable[str]) -> str | None:
    """The first of `wanted` that is among `names`."""
    present = set(names)
    return next((name for name in wanted if name in present), None)
