"""The detector that the HLS4ML set was simulated with: tracks and calorimeter cells, without thresholds or magnetic field.

It is the emulation of arXiv:1709.08705 in its setting "F1", a future detector: cells of 0.005 and 0.01, resolutions half
those of CMS, charged hadrons above 220 GeV seen by the calorimeter only. Every number is that of the paper's code
(github.com/nhanvtran/trackObservables, branch boostedPrecision-hls4ml) but for `min_pt`, which was tuned. That the
public jets are of this setting can be read off them: the angles between two constituents are multiples of 0.005 for
43 % of a jet (photons) and odd multiples of 0.0025 off for another 6 % (neutral hadrons). Energies in GeV.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from jetformer_data.particles import NEUTRINOS, Particles, charges_of
from jetformer_data.simulation.calorimeter import Calorimeter, Towers
from jetformer_data.simulation.candidates import (
    CHARGED_HADRON,
    ELECTRON,
    MUON,
    NEUTRAL_HADRON,
    PHOTON,
    Array,
    Candidates,
    join,
    neutral,
)

_ELECTRON, _MUON, _PHOTON = 11, 13, 22
# The coverage in |eta|.
_REACH = 3.0


def _cells(size: float, constant: float, stochastic: float, noise: float) -> Calorimeter:
    """Square cells, as many as fit around phi."""
    around = int(2 * np.pi / size)
    edges = tuple(round(size * k, 4) for k in range(round(_REACH / size) + 1))
    return Calorimeter(
        edges, _REACH, around, around, constant, stochastic, noise, min_energy=0, significance=0
    )


# Half of 0.5 % E (+) 2.7 % sqrt(1.6 E) (+) 1.6 x 150 MeV, where 1.6 allows for charged hadrons that were subtracted.
ECAL = _cells(0.005, 0.0025, 0.5 * 0.027 * 1.6**0.5, 0.12)
# Half of 5 % E (+) 120 % sqrt(7 E), where 7 allows for the same.
HCAL = _cells(0.010, 0.025, 0.5 * 1.20 * 7**0.5, 0.0)


@dataclass(frozen=True)
class SegmentedDetector:
    """The detector; sigma(pt) / pt of a track is `track_constant` (+) `track_slope` pt, (+) in quadrature.

    track_max_pt    charged hadrons above it are seen as cells of the hadron calorimeter
    min_pt          of a candidate: those below are left out
    """

    track_max_pt: float = 220.0
    track_constant: float = 0.0075
    track_slope: float = 0.000125
    min_pt: float = 0.15
    ecal: Calorimeter = ECAL
    hcal: Calorimeter = HCAL

    needs_vertices: ClassVar[bool] = False

    def __call__(self, particles: Particles, rng: np.random.Generator) -> Candidates:
        """Tracks of charged particles; cells of photons and of hadrons without a track."""
        kind = np.abs(particles.pdg_id)
        is_lepton, is_photon = np.isin(kind, (_ELECTRON, _MUON)), kind == _PHOTON
        has_track = (charges_of(particles.pdg_id) != 0) & (is_lepton | (particles.pt <= self.track_max_pt))
        in_hcal = ~(has_track | is_photon | np.isin(kind, NEUTRINOS))
        found = join(
            (
                self._tracks(particles.select(has_track), rng),
                _showers(particles.select(is_photon), self.ecal, PHOTON, rng),
                _showers(particles.select(in_hcal), self.hcal, NEUTRAL_HADRON, rng),
            )
        )
        return found.select(found.pt > self.min_pt)

    def _tracks(self, particles: Particles, rng: np.random.Generator) -> Candidates:
        """Four-momenta times a smeared factor: directions are exact."""
        relative = np.hypot(self.track_constant, self.track_slope * particles.pt)
        factor = _smeared(np.ones(len(relative)), relative, rng)
        number = np.abs(particles.pdg_id)
        kind = np.full(len(factor), CHARGED_HADRON, np.int8)
        kind[number == _ELECTRON], kind[number == _MUON] = ELECTRON, MUON
        return Candidates(
            particles.event,
            particles.pt * factor,
            particles.eta,
            particles.phi,
            particles.energy * factor,
            charges_of(particles.pdg_id),
            kind,
        )


def _showers(
    particles: Particles, calorimeter: Calorimeter, kind: int, rng: np.random.Generator
) -> Candidates:
    """The cells that are hit, each at its centre; fluctuations leave nothing of some."""
    hits: NDArray[np.bool_] = (np.abs(particles.eta) < calorimeter.eta[-1]) & (particles.energy > 0)
    particles = particles.select(hits)
    towers = Towers(calorimeter, particles.event, particles.eta, particles.phi)
    deposit, eta = towers.sum(particles.energy), towers.centre
    energy = _smeared(deposit, calorimeter.sigma(deposit, eta), rng)
    return neutral(towers.event, energy, eta, towers.centre_phi, kind)


def _smeared(mean: Array, sigma: Array, rng: np.random.Generator) -> Array:
    """Normally distributed, not below 0."""
    return np.maximum(rng.normal(mean, sigma), 0.0)
