"""The parametric detector, against the numbers of its own table and without Pythia."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from jetformer_data.collisions import Particles, near_partons
from jetformer_data.detector import (
    CMS,
    Candidates,
    calorimeter_resolution,
    detect,
    efficiency,
    track_resolution,
)

PION, PHOTON, KAON_LONG, NEUTRINO, MUON, ELECTRON = 211, 22, 130, 14, 13, 11


def particles(pdg_id: int, pt: float, eta: float, count: int, spread: bool = True) -> Particles:
    """`count` equal particles in events of their own (or all in one), massless."""
    ones = np.ones(count)
    event = np.arange(count) if spread else np.zeros(count, np.int64)
    return Particles(
        event,
        np.full(count, pdg_id),
        pt * ones,
        eta * ones,
        0.3 * ones,
        pt * np.cosh(eta) * ones,
        np.zeros((count, 2, 2)),
    )


def seen(pdg_id: int, pt: float, eta: float, count: int = 4000, **options: bool) -> Candidates:
    return detect(particles(pdg_id, pt, eta, count, **options), np.random.default_rng(1))


@pytest.mark.parametrize(
    ("pdg_id", "pt", "eta", "expected"),
    (
        (PION, 5, 0.2, 0.95),
        (-PION, 5, -2.0, 0.85),
        (PION, 0.5, 0.2, 0.70),
        (PION, 0.5, 2.0, 0.60),
        (PION, 0.05, 0, 0),
        (PION, 5, 2.6, 0),
        (MUON, 5, 1.0, 0.99),
        (ELECTRON, 5, 2.0, 0.83),
    ),
)
def test_tracking_efficiencies_are_those_of_the_table(
    pdg_id: int, pt: float, eta: float, expected: float
) -> None:
    assert efficiency(particles(pdg_id, pt, eta, 3)).tolist() == [expected] * 3


def test_resolutions_by_hand() -> None:
    eta, pt = np.array([0.2, -1.0, 2.0]), np.array([100.0, 100.0, 10.0])
    expected = [np.hypot(0.06, 0.13), np.hypot(0.10, 0.17), np.hypot(0.25, 0.031)]
    np.testing.assert_allclose(track_resolution(pt, eta), expected)
    hadron = calorimeter_resolution(np.array([100.0]), np.array([0.0]), CMS, "hcal")
    np.testing.assert_allclose(hadron, np.hypot(5.0, 15.0))
    photon = calorimeter_resolution(np.array([100.0]), np.array([1.0]), CMS, "ecal")
    np.testing.assert_allclose(photon, 1.64 * np.sqrt(0.8**2 + 1.1**2 + 0.4**2))


def test_neutrinos_are_not_seen() -> None:
    assert len(seen(NEUTRINO, 50, 0.5).pt) == 0


@pytest.mark.parametrize("pdg_id", (PION, PHOTON, KAON_LONG, MUON, ELECTRON))
def test_momentum_is_right_on_average(pdg_id: int) -> None:
    candidates = seen(pdg_id, 80, 0.4)
    expected = 80.0 if pdg_id != MUON else 80.0 * 0.99  # a muon without a track is lost
    # At most 20 % resolution: 0.3 % error of the mean of 4,000.
    assert candidates.pt.sum() / 4000 == pytest.approx(expected, rel=0.015)


def test_photons_are_measured_better_than_neutral_hadrons() -> None:
    photon, hadron = seen(PHOTON, 80, 0.1).pt.std() / 80, seen(KAON_LONG, 80, 0.1).pt.std() / 80
    energy = np.array([80 * np.cosh(0.1)])
    eta = np.array([0.1])
    for found, calorimeter in ((photon, "ecal"), (hadron, "hcal")):
        expected = calorimeter_resolution(energy, eta, CMS, calorimeter)[0] / energy[0]
        assert found == pytest.approx(expected, rel=0.15)
    assert photon < hadron / 5


def test_fast_tracks_gain_from_the_calorimeter() -> None:
    assert seen(PION, 400, 0.2).pt.std() / 400 < track_resolution(np.array([400.0]), np.array([0.2]))[0] / 3


def test_cells_merge_what_they_cannot_separate() -> None:
    merged = seen(PHOTON, 20, 0.2, count=5, spread=False)
    assert len(merged.pt) == 1
    assert merged.pt[0] == pytest.approx(100, rel=0.1)


def test_soft_cells_are_cut() -> None:
    settings = replace(CMS, ecal_min_energy=0.5, ecal_significance=2.0)
    found = detect(particles(PHOTON, 0.45, 0.0, 500), np.random.default_rng(2), settings)
    assert len(found.pt) < 250
    assert (found.pt * np.cosh(found.eta)).min() >= 0.5


def test_directions_stay_within_a_cell() -> None:
    candidates = seen(KAON_LONG, 80, -1.3)
    assert np.abs(candidates.eta + 1.3).max() <= CMS.hcal_cell
    assert np.abs(candidates.phi - 0.3).max() <= CMS.hcal_cell


def test_only_the_neighbourhood_of_partons_is_kept() -> None:
    given = particles(PION, 5, 0.2, 3, spread=False)
    given = replace(given, phi=np.array([3.1, -3.1, 1.0]), partons=np.array([[[0.2, -3.0], [5.0, 0.0]]]))
    assert near_partons(given, 0.5).phi.tolist() == [3.1, -3.1]
