"""The detector that the JetClass set was simulated with: Delphes (arXiv:1307.6346) and its energy flow.

Every number is that of the card published with the set (github.com/jet-universe/jetclass_generation, delphes_card.tcl):
the CMS card of Delphes with smeared impact parameters. Nothing was tuned. Energies in GeV, lengths in m, field in T.

A track keeps its true momentum. The card does smear momenta, but the module that smears impact parameters starts from
the true momentum again and is told an error of 0, which the energy flow takes for no weight: where no neutral excess
is seen beside a track, the track is given the energy of its tower, and vanishes with a tower below threshold. So hadrons
below 2 GeV are rare in the public set, and a quarter of all tracks is missing from it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
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
    OTHER,
    PHOTON,
    Array,
    Candidates,
    join,
    neutral,
)
from jetformer_data.simulation.detector import log_normal
from jetformer_data.simulation.helix import Cylinder, Paths, propagate
from jetformer_data.simulation.impact_resolution import impact_errors

Mask = NDArray[np.bool_]
_ELECTRON, _MUON, _PHOTON = 11, 13, 22
# The flags of JetClass; tracks of the rarer hyperons have none.
_KINDS = {11: ELECTRON, 13: MUON, 211: CHARGED_HADRON, 321: CHARGED_HADRON, 2212: CHARGED_HADRON}

# Crystals of 0.0174 x 1 degree.
ECAL = Calorimeter(
    eta=tuple(round(0.0174 * k, 4) for k in range(171)),
    fine_eta=3.0,
    across_phi=360,
    across_phi_far=360,
    constant=0.008,
    stochastic=0.11,
    noise=0.40,
    min_energy=0.5,
    significance=2.0,
    crystals=True,
)
# Towers of 0.087 x 5 degrees, coarser beyond |eta| = 1.653.
HCAL = Calorimeter(
    eta=(
        *(round(0.087 * k, 3) for k in range(20)),
        *(1.74, 1.83, 1.93, 2.043, 2.172, 2.322, 2.5, 2.65, 2.868, 2.95),
    ),
    fine_eta=1.653,
    across_phi=72,
    across_phi_far=36,
    constant=0.050,
    stochastic=1.50,
    noise=0.0,
    min_energy=1.0,
    significance=1.0,
)


@dataclass(frozen=True)
class EnergyFlow:
    """The detector. Efficiencies are rows (pt above which it holds, up to the first |eta|, up to the second).

    Below the first pt, and beyond the last |eta|, nothing is tracked.
    """

    tracker: Cylinder = field(default_factory=lambda: Cylinder(radius=1.29, half_length=3.0, field=3.8))
    efficiency_eta: tuple[float, ...] = (1.5, 2.5)
    hadron_efficiency: tuple[tuple[float, ...], ...] = ((0.1, 0.70, 0.60), (1, 0.95, 0.85))
    electron_efficiency: tuple[tuple[float, ...], ...] = (
        (0.1, 0.73, 0.50),
        (1, 0.95, 0.83),
        (100, 0.99, 0.90),
    )
    muon_efficiency: tuple[tuple[float, ...], ...] = ((0.1, 0.75, 0.70), (1, 0.99, 0.98))
    ecal: Calorimeter = ECAL
    hcal: Calorimeter = HCAL

    needs_vertices: ClassVar[bool] = True

    def __call__(self, particles: Particles, rng: np.random.Generator) -> Candidates:
        """Tracks, and the neutral excess of each tower over the tracks that lead to it."""
        paths = propagate(particles, self.tracker)
        particles, paths = particles.select(paths.inside), paths.select(paths.inside)
        kind = np.abs(particles.pdg_id)
        has_track = rng.random(len(kind)) < efficiency(particles, paths.exit_eta, self)
        in_ecal = np.isin(kind, (_ELECTRON, _PHOTON))
        in_hcal = ~in_ecal & ~np.isin(kind, (_MUON, *NEUTRINOS))
        photons, factor = energy_flow(particles, paths, in_ecal, has_track, self.ecal, PHOTON, rng)
        hadrons, factor_hcal = energy_flow(
            particles, paths, in_hcal, has_track, self.hcal, NEUTRAL_HADRON, rng
        )
        return join((_tracks(particles, paths, has_track, factor * factor_hcal, rng), photons, hadrons))


def efficiency(particles: Particles, eta: Array, detector: EnergyFlow) -> Array:
    """Probability that a particle leaves a track, by kind, pt and the |eta| at which it leaves the tracker."""
    region = np.searchsorted(detector.efficiency_eta, np.abs(eta))
    kind = np.abs(particles.pdg_id)
    result = np.zeros(len(kind))
    for table, chosen in (
        (detector.electron_efficiency, kind == _ELECTRON),
        (detector.muon_efficiency, kind == _MUON),
        (detector.hadron_efficiency, ~np.isin(kind, (_ELECTRON, _MUON))),
    ):
        limits, values = np.split(np.array(table), [1], axis=1)
        row = np.searchsorted(limits[:, 0], particles.pt)
        # A row before the first pt and a column beyond the last eta, where there are no tracks.
        result[chosen] = np.pad(values, ((1, 0), (0, 1)))[row, region][chosen]
    return np.where(charges_of(particles.pdg_id) == 0, 0.0, result)


def energy_flow(
    particles: Particles,
    paths: Paths,
    hits: Mask,
    has_track: Mask,
    calorimeter: Calorimeter,
    kind: int,
    rng: np.random.Generator,
) -> tuple[Candidates, Array]:
    """Neutral candidates where a tower holds significantly more than its tracks, and a factor for each particle's track.

    The factor is 1 beside such an excess; elsewhere the tracks are brought to the energy of the tower. `hits` says which
    particles shower in this calorimeter, `has_track` which of all have a track.
    """
    hits = hits & (np.abs(paths.exit_eta) < calorimeter.eta[-1])
    towers = Towers(calorimeter, particles.event[hits], paths.exit_eta[hits], paths.exit_phi[hits])
    deposit = towers.sum(particles.energy[hits])
    tracked = towers.sum(particles.energy[hits] * has_track[hits])
    energy = log_normal(deposit, calorimeter.sigma(deposit, towers.centre) / deposit, rng)
    sigma = calorimeter.sigma(energy, towers.centre)
    energy[~calorimeter.above_threshold(energy, sigma)] = 0
    excess = energy - tracked
    is_neutral = calorimeter.above_threshold(excess, sigma)
    factor = np.ones(len(hits))
    factor[hits] = np.where(is_neutral | (tracked == 0), 1, energy / np.where(tracked == 0, 1, tracked))[
        towers.of
    ]
    event, (eta, phi) = towers.event, towers.places(rng)
    found = neutral(event[is_neutral], excess[is_neutral], eta[is_neutral], phi[is_neutral], kind)
    return found, factor


def _tracks(
    particles: Particles, paths: Paths, has_track: Mask, factor: Array, rng: np.random.Generator
) -> Candidates:
    """Candidates of the tracks that are left, momenta times `factor`, with smeared impact parameters."""
    chosen = has_track & (factor > 0)
    tracks, paths, factor = particles.select(chosen), paths.select(chosen), factor[chosen]
    momentum = tracks.pt * np.cosh(tracks.eta)
    mass2 = np.maximum(tracks.energy**2 - momentum**2, 0)
    d0_error, dz_error = impact_errors(tracks.pt, tracks.eta)
    d0, dz = rng.normal(paths.d0, d0_error), rng.normal(paths.dz, dz_error)
    kind = np.full(len(factor), OTHER, np.int8)
    for number, flag in _KINDS.items():
        kind[np.abs(tracks.pdg_id) == number] = flag
    return Candidates(
        tracks.event,
        tracks.pt * factor,
        tracks.eta,
        paths.phi,
        np.sqrt((momentum * factor) ** 2 + mass2),
        charges_of(tracks.pdg_id),
        kind,
        np.stack([d0, d0_error, dz, dz_error], axis=1),
    )
