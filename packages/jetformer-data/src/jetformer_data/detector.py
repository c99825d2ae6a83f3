"""A parametric detector: stable particles in, tracks and calorimeter cells out, as particle flow would see them.

Tracking efficiencies, resolutions and cuts on significance follow the CMS card of Delphes (arXiv:1307.6346,
cards/delphes_card_CMS.tcl), with two departures: cells and thresholds. The card's towers (0.0174 and 0.087, 0.5 and
1 GeV) merge the core of a 1 TeV jet: mean multiplicities come out 11-23 % below those of the public set, with jets
8-18 % too wide. The values below are the ones that agree with it best; particle flow, too, resolves clusters
below the size of a tower. pt and energy in GeV.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np

from jetformer_data.candidates import (
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
from jetformer_data.jets import wrap_phi
from jetformer_data.particles import NEUTRINOS, Particles, charges_of

_ELECTRON, _MUON, _PHOTON = 11, 13, 22


class Detector(Protocol):
    """What a style sees its particles with: a frozen dataclass of numbers."""

    __dataclass_fields__: ClassVar[dict[str, Any]]
    needs_vertices: ClassVar[bool]

    def __call__(self, particles: Particles, rng: np.random.Generator) -> Candidates: ...


@dataclass(frozen=True)
class Settings:
    """Every number of the detector; a tuple holds one value for each region in |eta|."""

    # Tracks. Regions end at these |eta|; nothing is tracked beyond the last, nor below `track_min_pt`.
    track_eta: tuple[float, ...] = (1.5, 2.5)
    track_min_pt: float = 0.1
    soft_pt: float = 1.0
    hadron_efficiency_soft: tuple[float, ...] = (0.70, 0.60)
    hadron_efficiency: tuple[float, ...] = (0.95, 0.85)
    electron_efficiency_soft: tuple[float, ...] = (0.73, 0.50)
    electron_efficiency: tuple[float, ...] = (0.95, 0.83)
    muon_efficiency_soft: tuple[float, ...] = (0.75, 0.70)
    muon_efficiency: tuple[float, ...] = (0.99, 0.98)
    # sigma(pt) / pt = constant (+) slope * pt, (+) in quadrature.
    resolution_eta: tuple[float, ...] = (0.5, 1.5, 2.5)
    resolution_constant: tuple[float, ...] = (0.06, 0.10, 0.25)
    resolution_slope: tuple[float, ...] = (1.3e-3, 1.7e-3, 3.1e-3)
    track_angle: float = 0.001
    # Calorimeters: sigma(E) = constant E (+) stochastic sqrt(E) (+) noise.
    ecal: tuple[float, float, float] = (0.008, 0.11, 0.40)
    hcal: tuple[float, float, float] = (0.050, 1.50, 0.0)
    # Size of the cells in eta and phi (rad), smallest energy, and smallest energy in units of its sigma. Tuned: see above.
    ecal_cell: float = 0.005
    hcal_cell: float = 0.020
    ecal_min_energy: float = 0.3
    hcal_min_energy: float = 0.5
    ecal_significance: float = 0.0
    hcal_significance: float = 0.0
    calorimeter_eta: float = 3.0

    needs_vertices: ClassVar[bool] = False

    def __call__(self, particles: Particles, rng: np.random.Generator) -> Candidates:
        return detect(particles, rng, self)


CMS = Settings()


def detect(particles: Particles, rng: np.random.Generator, settings: Settings = CMS) -> Candidates:
    """Tracks of charged particles; cells of photons and of hadrons without a track."""
    kind = np.abs(particles.pdg_id)
    is_muon, is_electron = kind == _MUON, kind == _ELECTRON
    is_charged = charges_of(particles.pdg_id) != 0
    has_track = is_charged & (rng.random(len(kind)) < efficiency(particles, settings))
    in_ecal = (kind == _PHOTON) | (is_electron & ~has_track)
    in_hcal = ~(is_muon | in_ecal | has_track | np.isin(kind, NEUTRINOS))
    tracks = _tracks(particles.select(has_track), rng, settings)
    photons = _cells(particles.select(in_ecal), rng, settings, "ecal")
    neutral_hadrons = _cells(particles.select(in_hcal), rng, settings, "hcal")
    return join((tracks, photons, neutral_hadrons))


def efficiency(particles: Particles, settings: Settings = CMS) -> Array:
    """Probability that a charged particle leaves a track, by kind, pt and |eta|."""
    region = np.searchsorted(settings.track_eta, np.abs(particles.eta))
    is_soft = particles.pt < settings.soft_pt
    kind = np.abs(particles.pdg_id)
    result = np.zeros(len(kind))
    for name, chosen in (
        ("hadron", ~np.isin(kind, (_ELECTRON, _MUON))),
        ("electron", kind == _ELECTRON),
        ("muon", kind == _MUON),
    ):
        soft, hard = (
            np.append(getattr(settings, f"{name}_efficiency{s}"), 0.0)[region] for s in ("_soft", "")
        )
        result[chosen] = np.where(is_soft, soft, hard)[chosen]
    return np.where(particles.pt < settings.track_min_pt, 0.0, result)


def track_resolution(pt: Array, eta: Array, settings: Settings = CMS) -> Array:
    """sigma(pt) / pt of the tracker."""
    region = np.minimum(
        np.searchsorted(settings.resolution_eta, np.abs(eta)), len(settings.resolution_eta) - 1
    )
    constant = np.array(settings.resolution_constant)[region]
    return np.hypot(constant, np.array(settings.resolution_slope)[region] * pt)


def calorimeter_resolution(energy: Array, eta: Array, settings: Settings, calorimeter: str) -> Array:
    """sigma(E) in GeV."""
    constant, stochastic, noise = getattr(settings, calorimeter)
    sigma = np.sqrt((constant * energy) ** 2 + stochastic**2 * energy + noise**2)
    if calorimeter == "hcal":
        return np.asarray(sigma)
    distance = np.abs(eta)
    return np.asarray(
        sigma * np.where(distance < 1.5, 1 + 0.64 * distance**2, 2.16 + 5.6 * (distance - 2) ** 2)
    )


def _tracks(particles: Particles, rng: np.random.Generator, settings: Settings) -> Candidates:
    """Smeared tracks; where the calorimeter measures better than the tracker, their average weighs it more."""
    relative = track_resolution(particles.pt, particles.eta, settings)
    is_electron, is_muon = (np.abs(particles.pdg_id) == number for number in (_ELECTRON, _MUON))
    energy = np.maximum(particles.energy, 1e-9)
    calorimeter = (
        np.where(
            is_electron,
            calorimeter_resolution(energy, particles.eta, settings, "ecal"),
            calorimeter_resolution(energy, particles.eta, settings, "hcal"),
        )
        / energy
    )
    relative = np.where(is_muon, relative, 1 / np.hypot(1 / relative, 1 / calorimeter))
    pt = log_normal(particles.pt, relative, rng)
    angles = rng.normal(scale=settings.track_angle, size=(2, len(pt)))
    eta, phi = particles.eta + angles[0], wrap_phi(particles.phi + angles[1])
    kind = np.full(len(pt), CHARGED_HADRON, np.int8)
    kind[is_electron], kind[is_muon] = ELECTRON, MUON
    return Candidates(particles.event, pt, eta, phi, pt * np.cosh(eta), charges_of(particles.pdg_id), kind)


def _cells(
    particles: Particles, rng: np.random.Generator, settings: Settings, calorimeter: str
) -> Candidates:
    """Energies summed in cells, smeared, cut, and placed at random within the cell."""
    particles = particles.select(np.abs(particles.eta) < settings.calorimeter_eta)
    width = getattr(settings, f"{calorimeter}_cell")
    across_phi = round(2 * np.pi / width)
    across_eta = int(np.ceil(2 * settings.calorimeter_eta / width))
    row = np.floor((particles.eta + settings.calorimeter_eta) / width).astype(np.int64)
    column = np.floor((particles.phi + np.pi) / (2 * np.pi) * across_phi).astype(np.int64) % across_phi
    key = (particles.event * across_eta + row) * across_phi + column
    cells, inverse = np.unique(key, return_inverse=True)
    energy: Array = np.bincount(inverse, particles.energy, minlength=len(cells)).astype(np.float64)
    event, row, column = (
        cells // (across_eta * across_phi),
        cells // across_phi % across_eta,
        cells % across_phi,
    )
    place = rng.random((2, len(cells)))
    eta = (row + place[0]) * width - settings.calorimeter_eta
    phi = (column + place[1]) * 2 * np.pi / across_phi - np.pi
    sigma = calorimeter_resolution(energy, eta, settings, calorimeter)
    energy = log_normal(energy, sigma / np.maximum(energy, 1e-9), rng)
    floor = getattr(settings, f"{calorimeter}_min_energy")
    significance = getattr(settings, f"{calorimeter}_significance")
    seen = (energy > floor) & (
        energy > significance * calorimeter_resolution(energy, eta, settings, calorimeter)
    )
    kind = PHOTON if calorimeter == "ecal" else NEUTRAL_HADRON
    return neutral(event[seen], energy[seen], eta[seen], phi[seen], kind)


def log_normal(mean: Array, relative: Array, rng: np.random.Generator) -> Array:
    """Smear with the given relative deviation and without negative values, as Delphes does; the mean is kept."""
    spread = np.sqrt(np.log1p(relative**2))
    return np.asarray(mean * np.exp(spread * rng.normal(size=len(mean)) - spread**2 / 2))
