"""The detector of the HLS4ML set, against the numbers of its own table and without Pythia."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from jetformer_data.particles import Particles, near_partons
from jetformer_data.simulation.candidates import (
    CHARGED_HADRON,
    ELECTRON,
    MUON,
    NEUTRAL_HADRON,
    PHOTON,
    Candidates,
)
from jetformer_data.simulation.segmented import SegmentedDetector

PION, GAMMA, KAON_LONG, NEUTRINO, MU, E = 211, 22, 130, 14, 13, 11
PROTON, PROTON_MASS = 2212, 0.938


def particles(
    pdg_id: int, pt: float, eta: float, count: int, spread: bool = True, mass: float = 0.0
) -> Particles:
    """`count` equal particles in events of their own (or all in one)."""
    ones = np.ones(count)
    event = np.arange(count) if spread else np.zeros(count, np.int64)
    energy = np.hypot(pt * np.cosh(eta), mass)
    return Particles(
        event,
        np.full(count, pdg_id),
        pt * ones,
        eta * ones,
        0.3 * ones,
        energy * ones,
        np.zeros((count, 2, 2)),
    )


def seen(given: Particles, detector: SegmentedDetector | None = None) -> Candidates:
    return (detector or SegmentedDetector())(given, np.random.default_rng(1))


@pytest.mark.parametrize(
    ("pdg_id", "pt", "kind", "charge"),
    (
        (PION, 50, CHARGED_HADRON, 1),
        (-PION, 50, CHARGED_HADRON, -1),
        (PION, 221, NEUTRAL_HADRON, 0),
        (GAMMA, 50, PHOTON, 0),
        (KAON_LONG, 500, NEUTRAL_HADRON, 0),
        (MU, 300, MUON, -1),
        (-E, 300, ELECTRON, 1),
    ),
)
def test_each_particle_is_seen_as_what_it_leaves(pdg_id: int, pt: float, kind: int, charge: int) -> None:
    found = seen(particles(pdg_id, pt, 0.5, 5))
    assert found.kind.tolist() == [kind] * 5
    assert found.charge.tolist() == [charge] * 5


def test_neutrinos_are_not_seen() -> None:
    assert len(seen(particles(NEUTRINO, 50, 0.5, 5))) == 0


@pytest.mark.parametrize(
    ("pdg_id", "sigma"),
    (
        (PION, 80 * np.hypot(0.0075, 0.000125 * 80)),
        (GAMMA, np.sqrt(0.2**2 + (0.5 * 0.027 * np.sqrt(1.6 * 80)) ** 2 + 0.12**2)),
        (KAON_LONG, np.sqrt(2.0**2 + (0.5 * 1.2 * np.sqrt(7 * 80)) ** 2)),
    ),
)
def test_resolutions_by_hand(pdg_id: int, sigma: float) -> None:
    """For 80 GeV; half of what the CMS-like setting of the emulation has."""
    energy = seen(particles(pdg_id, 80 / np.cosh(0.01), 0.01, 20_000)).energy
    assert energy.mean() == pytest.approx(80, rel=0.01)
    assert energy.std() == pytest.approx(sigma, rel=0.03)


def test_tracks_keep_direction_and_mass() -> None:
    found = seen(particles(PROTON, 2.0, -1.3, 50, mass=PROTON_MASS))
    assert set(found.eta) == {-1.3}
    assert set(found.phi) == {0.3}
    mass2 = found.energy**2 - (found.pt * np.cosh(found.eta)) ** 2
    np.testing.assert_allclose(np.sqrt(mass2) / found.pt, PROTON_MASS / 2.0)


@pytest.mark.parametrize(("pdg_id", "size"), ((GAMMA, 0.005), (KAON_LONG, 0.010)))
def test_cells_lie_on_a_grid(pdg_id: int, size: float) -> None:
    rng = np.random.default_rng(2)
    given = particles(pdg_id, 50, 0.0, 400)
    given = replace(given, eta=rng.uniform(-2.9, 2.9, 400), phi=rng.uniform(-np.pi, np.pi, 400))
    given = replace(given, energy=50 * np.cosh(given.eta))
    found = seen(given)
    assert len(found) == 400
    around = 2 * np.pi / int(2 * np.pi / size)
    assert np.abs(found.eta - given.eta).max() <= size / 2 + 1e-9
    assert np.abs(found.phi - given.phi).max() <= around / 2 + 1e-9
    for place, step in ((found.eta + 3, size), (found.phi + np.pi, around)):
        np.testing.assert_allclose((place / step) % 1, 0.5, atol=1e-6)


def test_cells_merge_what_they_cannot_separate() -> None:
    merged = seen(particles(GAMMA, 20, 0.2, 5, spread=False))
    assert len(merged) == 1
    assert merged.pt[0] == pytest.approx(100, rel=0.1)


def test_nothing_neutral_is_seen_beyond_the_calorimeters() -> None:
    assert len(seen(particles(GAMMA, 20, 3.1, 5))) == 0
    assert len(seen(particles(PION, 20, 3.1, 5))) == 5


def test_soft_candidates_are_left_out() -> None:
    assert len(seen(particles(PION, 0.12, 0.0, 100))) == 0
    assert len(seen(particles(PION, 0.12, 0.0, 100), SegmentedDetector(min_pt=0.1))) == 100
    # a soft photon fluctuates, to nothing at times
    found = seen(particles(GAMMA, 0.25, 0.0, 2000), SegmentedDetector(min_pt=0.0))
    assert 0.9 < len(found) / 2000 < 1
    assert found.pt.min() > 0


def test_only_the_neighbourhood_of_partons_is_kept() -> None:
    given = particles(PION, 5, 0.2, 3, spread=False)
    given = replace(given, phi=np.array([3.1, -3.1, 1.0]), partons=np.array([[[0.2, -3.0], [5.0, 0.0]]]))
    assert near_partons(given, 0.5).phi.tolist() == [3.1, -3.1]
