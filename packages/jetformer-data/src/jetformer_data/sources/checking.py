"""What jets of any source must obey: damage that a library does not notice ends here, not in a training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jetformer_data.errors import SourceError
from jetformer_data.raw import RawJets

# GeV. No collider that anybody plans comes near.
_MOST_ENERGY = 1e6
_MOST_CONSTITUENTS = 2**16
# Energies and momenta are rounded on their own, and some detectors smear them on their own.
_ENERGY_SLACK = 0.01
_ANYTHING = (-1e9, 1e9)

# Least and most a column. What is not listed must be within `_ANYTHING`, which is finite.
LIMITS = {
    "px": (-_MOST_ENERGY, _MOST_ENERGY),
    "py": (-_MOST_ENERGY, _MOST_ENERGY),
    "pz": (-_MOST_ENERGY, _MOST_ENERGY),
    "energy": (0.0, _MOST_ENERGY),
    "pt": (0.0, _MOST_ENERGY),
    "eta": (-100.0, 100.0),
    "phi": (-7.0, 7.0),  # [-pi, pi) or [0, 2 pi)
    "etarel": (-100.0, 100.0),
    "phirel": (-7.0, 7.0),
    "charge": (-9.0, 9.0),
    "is_charged_hadron": (0.0, 1.0),
    "is_neutral_hadron": (0.0, 1.0),
    "is_photon": (0.0, 1.0),
    "is_electron": (0.0, 1.0),
    "is_muon": (0.0, 1.0),
    "jet_pt": (0.0, _MOST_ENERGY),
    "jet_energy": (0.0, _MOST_ENERGY),
    "jet_eta": (-100.0, 100.0),
    "jet_phi": (-7.0, 7.0),
}


def check(
    raw: RawJets, jets: int, path: str, first_jet: int = 0, names: Mapping[str, str] | None = None
) -> None:
    """Raise `SourceError` naming jet and column where something cannot be; `names` are those in the file."""
    place = _Place(path, first_jet, names or {}, raw.offsets)
    _structure(raw, jets, path, place)
    for name, values in raw.constituents.items():
        _within(name, values, place, is_jet=False)
    for name, values in raw.jets.items():
        _within(name, values, place, is_jet=True)
    _energy_covers_momentum(raw, place)


class _Place:
    """Words a place in a file."""

    def __init__(
        self, path: str, first_jet: int, names: Mapping[str, str], offsets: NDArray[np.int64]
    ) -> None:
        self.path, self.first_jet, self.names, self.offsets = path, first_jet, names, offsets

    def error(self, row: int, name: str, says: str, is_jet: bool = False) -> SourceError:
        jet = row if is_jet else int(np.searchsorted(self.offsets, row, side="right")) - 1
        return SourceError(f"{self.path}: jet {self.first_jet + jet}, column {self.column(name)}: {says}")

    def column(self, name: str) -> str:
        """The file's name of a column, and what we take it for."""
        theirs = self.names.get(name, name)
        return f"'{theirs}'" if theirs == name else f"'{theirs}' ({name})"


def _structure(raw: RawJets, jets: int, path: str, place: _Place) -> None:
    counts = np.diff(raw.offsets)
    if len(raw.labels) != jets or len(raw.offsets) != jets + 1:
        raise SourceError(f"{path}: {len(raw.labels)} jets came where {jets} were expected")
    if raw.offsets[0] != 0 or (counts < 0).any():
        jet = int(np.argmax(counts < 0))
        raise SourceError(f"{path}: jet {place.first_jet + jet}: 'offsets' falls or does not start at 0")
    if len(counts) and counts.max() > _MOST_CONSTITUENTS:
        jet = int(np.argmax(counts))
        raise SourceError(
            f"{path}: jet {place.first_jet + jet}: has {counts[jet]} constituents, which no jet has"
        )
    rows = int(raw.offsets[-1])
    for name, values in raw.constituents.items():
        if values.shape != (rows,):
            raise SourceError(
                f"{path}: column {place.column(name)}: has {len(values)} constituents where 'offsets' ends "
                f"at {rows}"
            )
    outside = np.flatnonzero((raw.labels < 0) | (raw.labels >= len(raw.class_names)))
    if len(outside):
        label, classes = raw.labels[outside[0]], len(raw.class_names)
        raise place.error(int(outside[0]), "labels", f"label {label} is outside the {classes} classes", True)


def _within(name: str, values: NDArray[Any], place: _Place, is_jet: bool) -> None:
    if values.dtype.kind not in "fiub":
        raise SourceError(f"{place.path}: column {place.column(name)}: holds {values.dtype}, not numbers")
    if not len(values) or values.dtype.kind == "b":
        return
    least, most = LIMITS.get(name, _ANYTHING)
    # NaN is neither: both comparisons are False then.
    if values.min() >= least and values.max() <= most:
        return
    row = int(np.argmin((values >= least) & (values <= most)))
    expected = f"expected {least:g} to {most:g}" if np.isfinite(values[row]) else "expected a number"
    raise place.error(row, name, f"is {values[row]:g}, {expected}", is_jet)


def _energy_covers_momentum(raw: RawJets, place: _Place) -> None:
    if not {"px", "py", "pz", "energy"} <= raw.constituents.keys():
        return
    px, py, pz, energy = (np.asarray(raw.constituents[name]) for name in ("px", "py", "pz", "energy"))
    if px.dtype.kind != "f" or energy.dtype.kind != "f":
        px, py, pz, energy = (values.astype(np.float64) for values in (px, py, pz, energy))
    square = px * px
    square += py * py
    square += pz * pz
    covers = (energy + 1e-3) * (energy + 1e-3) >= (1 - 2 * _ENERGY_SLACK) * square
    if not covers.all():
        row = int(np.argmin(covers))
        momentum = float(np.sqrt(square[row]))
        raise place.error(row, "energy", f"is {energy[row]:g}, less than the momentum {momentum:g}")
