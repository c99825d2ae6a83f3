"""Stable particles of simulated collisions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from jetformer_data.jets import wrap_phi

NEUTRINOS = (12, 14, 16)
RESONANCES = (6, 23, 24, 25)
# Charges of what can leave a track, by PDG number.
CHARGES = {11: -1, 13: -1, 211: 1, 321: 1, 2212: 1, 3112: -1, 3222: 1, 3312: -1, 3334: -1}


@dataclass(frozen=True, eq=False)
class Particles:
    """Stable particles of a batch of events, one entry a particle. pt and energy in GeV, phi in rad.

    partons     `[events, 2, 2]`, eta and phi of the two hard partons (or bosons, tops) after all recoils, NaN for one
                that makes no jets of the class
    prongs      `[events, 2, prongs, 2]`, eta and phi of the quarks, gluons and charged leptons that a parton decays to
                and that must lie within a jet, NaN where the class asks for another number of them; None where it is
                the partons themselves that jets are matched to
    vertex      `[particles, 3]` in mm, where the particle was made; None where no detector needs it
    """

    event: NDArray[np.int64]
    pdg_id: NDArray[np.int64]
    pt: NDArray[np.float64]
    eta: NDArray[np.float64]
    phi: NDArray[np.float64]
    energy: NDArray[np.float64]
    partons: NDArray[np.float64]
    prongs: NDArray[np.float64] | None = None
    vertex: NDArray[np.float64] | None = None

    def select(self, keep: NDArray[np.bool_]) -> Particles:
        """The particles where `keep` is True."""
        return Particles(
            self.event[keep],
            self.pdg_id[keep],
            self.pt[keep],
            self.eta[keep],
            self.phi[keep],
            self.energy[keep],
            self.partons,
            self.prongs,
            None if self.vertex is None else self.vertex[keep],
        )


def near_partons(particles: Particles, radius: float) -> Particles:
    """Only the particles within `radius` in delta R of a hard parton."""
    axes = particles.partons[particles.event]
    deta = particles.eta[:, None] - axes[..., 0]
    dphi = wrap_phi(particles.phi[:, None] - axes[..., 1])
    return particles.select((deta**2 + dphi**2 < radius**2).any(axis=1))


def charges_of(pdg_id: NDArray[np.int64]) -> NDArray[np.int8]:
    """Charges in units of e."""
    charge = np.zeros(len(pdg_id), np.int8)
    for number, sign in CHARGES.items():
        charge[np.abs(pdg_id) == number] = sign
    return np.asarray(charge * np.sign(pdg_id), np.int8)
