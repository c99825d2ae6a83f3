"""Particles known by their PDG number: mass, charge and the five kinds that a detector tells apart."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from jetformer_data.errors import SourceError
from jetformer_data.particles import charges_of

# GeV, Particle Data Group. What lives long enough to be a constituent, and the photon.
MASSES = {
    22: 0.0,
    11: 0.000511,
    13: 0.105658,
    211: 0.139570,
    321: 0.493677,
    130: 0.497611,
    310: 0.497611,
    111: 0.134977,
    2212: 0.938272,
    2112: 0.939565,
    3122: 1.115683,
    3112: 1.197449,
    3222: 1.189370,
    3312: 1.321710,
    3322: 1.314860,
    3334: 1.672450,
    12: 0.0,
    14: 0.0,
    16: 0.0,
}
_LARGEST = 20.0  # sinh of a rapidity beyond is no momentum


def from_pt_rapidity_phi(
    columns: dict[str, NDArray[Any]], offsets: NDArray[np.int64], path: str, first_jet: int
) -> dict[str, NDArray[Any]]:
    """Four-vectors and kinds of particles from pt (GeV), rapidity, phi and PDG number.

    m_T = sqrt(m^2 + pt^2), E = m_T cosh y, pz = m_T sinh y. Raises `SourceError` where a number is no known particle.
    """
    pt, rapidity, phi, number = (
        columns[name].astype(np.float64) for name in ("pt", "rapidity", "phi", "pdg_id")
    )
    known = np.array(sorted(MASSES))
    place = np.searchsorted(known, np.abs(number)).clip(max=len(known) - 1)
    is_good = (
        (known[place] == np.abs(number))
        & np.isfinite(pt)
        & (pt >= 0)
        & (np.abs(rapidity) < _LARGEST)
        & (np.abs(phi) < _LARGEST)
    )
    if not is_good.all():
        row = int(np.argmin(is_good))
        jet = first_jet + int(np.searchsorted(offsets, row, side="right")) - 1
        raise SourceError(
            f"{path}: jet {jet}, column 'X': pt {pt[row]:g}, rapidity {rapidity[row]:g}, phi {phi[row]:g} and PDG number "
            f"{number[row]:g} are no particle"
        )
    mass = np.array([MASSES[n] for n in known])[place]
    transverse = np.sqrt(mass**2 + pt**2)
    kind = np.abs(number).astype(np.int64)
    charge = charges_of(number.astype(np.int64))
    is_lepton = (kind == 11) | (kind == 13)
    return {
        "px": pt * np.cos(phi),
        "py": pt * np.sin(phi),
        "pz": transverse * np.sinh(rapidity),
        "energy": transverse * np.cosh(rapidity),
        "charge": charge,
        "is_charged_hadron": (charge != 0) & ~is_lepton,
        "is_neutral_hadron": (charge == 0) & (kind != 22),
        "is_photon": kind == 22,
        "is_electron": kind == 11,
        "is_muon": kind == 13,
    }
