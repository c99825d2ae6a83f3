"""The detector of the JetClass style, against the numbers of its own card and towers worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from jetformer_data.particles import Particles
from jetformer_data.simulation.calorimeter import Calorimeter, Towers
from jetformer_data.simulation.candidates import IMPACT, KINDS, Candidates
from jetformer_data.simulation.energy_flow import ECAL, HCAL, EnergyFlow, efficiency
from jetformer_data.simulation.impact_resolution import impact_errors

PION, PHOTON, KAON_LONG, NEUTRINO, MUON, ELECTRON, SIGMA = 211, 22, 130, 14, 13, 11, 3112
DETECTOR = EnergyFlow()


def particles(
    pdg_id: list[int], pt: list[float], eta: float = 0.04, phi: float = 0.04, spread: bool = False
) -> Particles:
    """Massless particles from the origin: in one direction of one event, or in an event each."""
    count = len(pdg_id)
    momentum = np.array(pt, float)
    return Particles(
        np.arange(count) if spread else np.zeros(count, np.int64),
        np.array(pdg_id),
        momentum,
        np.full(count, eta),
        np.full(count, phi),
        momentum * np.cosh(eta),
        np.zeros((count, 2, 2)),
        vertex=np.zeros((count, 3)),
    )


def exact(**changes: float) -> EnergyFlow:
    """A detector that tracks everything and measures without error."""
    perfect = ((0.0, 1.0, 1.0),)
    measured = {"constant": 0.0, "stochastic": 0.0, "noise": 0.0, **changes}
    return EnergyFlow(
        hadron_efficiency=perfect,
        electron_efficiency=perfect,
        muon_efficiency=perfect,
        ecal=replace(ECAL, **measured),
        hcal=replace(HCAL, **measured),
    )


def see(given: Particles, detector: EnergyFlow = DETECTOR, seed: int = 1) -> Candidates:
    return detector(given, np.random.default_rng(seed))


def kinds(candidates: Candidates) -> list[str]:
    return sorted(KINDS[k] for k in candidates.kind)


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
        (ELECTRON, 150, 2.0, 0.90),
        (PHOTON, 5, 0.2, 0),
        (KAON_LONG, 5, 0.2, 0),
    ),
)
def test_efficiencies_are_those_of_the_card(pdg_id: int, pt: float, eta: float, expected: float) -> None:
    given = particles([pdg_id] * 3, [pt] * 3)
    assert efficiency(given, np.full(3, eta), DETECTOR).tolist() == [expected] * 3


@pytest.mark.parametrize(
    ("pt", "eta", "d0", "dz"),
    (
        (0.2, 0.5, 0.3543, 0.3693),
        (1.0, 0.5, 0.0753, 0.1113),
        (5.0, -1.2, 0.0313, 0.0707),
        (500.0, 2.0, 0.0137, 0.0850),
        (0.1, 0.5, 0.0, 0.0),
        (5.0, 2.6, 0.0, 0.0),
    ),
)
def test_impact_errors_are_those_of_the_card(pt: float, eta: float, d0: float, dz: float) -> None:
    errors = impact_errors(np.array([pt]), np.array([eta]))
    assert [error.item() for error in errors] == [d0, dz]


def test_resolutions_by_hand() -> None:
    assert HCAL.sigma(np.array([100.0]), np.array([1.0]))[0] == pytest.approx(np.hypot(5, 15))
    crystal = np.sqrt(0.8**2 + 1.1**2 + 0.4**2)
    eta = np.array([-1.0, 2.2, 2.7])
    expected = [1.64 * crystal, (2.16 + 5.6 * 0.04) * crystal, np.hypot(10.7, 20.8)]
    np.testing.assert_allclose(ECAL.sigma(np.full(3, 100.0), eta), expected)


def test_towers_are_as_wide_as_the_card_says() -> None:
    eta, phi = np.array([0.01, 0.08, 0.09, 1.7, 1.7, -0.01]), np.array([0.01, 0.01, 0.01, 0.01, 0.16, 0.01])
    towers = Towers(HCAL, np.zeros(6, np.int64), eta, phi)
    assert (
        len(towers) == 4
    )  # the first two share one, and beyond 1.653 the towers of 10 degrees hold both phi
    assert towers.of[0] == towers.of[1]
    assert towers.of[3] == towers.of[4]
    places = towers.places(np.random.default_rng(1))
    np.testing.assert_allclose(places[0][towers.of], eta, atol=0.09)
    np.testing.assert_allclose(places[1][towers.of], phi, atol=2 * np.pi / 36)


def test_events_do_not_share_towers() -> None:
    ones = np.full(3, 0.01)
    assert len(Towers(ECAL, np.array([0, 1, 1]), ones, ones)) == 2


def test_a_neutral_excess_is_what_the_tracks_do_not_explain() -> None:
    found = see(particles([PION, KAON_LONG], [20, 30]), exact())
    assert kinds(found) == ["charged_hadron", "neutral_hadron"]
    assert sorted(found.energy) == pytest.approx([20 * np.cosh(0.04), 30 * np.cosh(0.04)])


def test_an_insignificant_excess_is_given_to_the_tracks() -> None:
    # Below the least energy of 1 GeV, the neutral's 0.9 GeV is shared by the two tracks (too fast to leave the tower).
    found = see(particles([PION, -PION, KAON_LONG], [100, 200, 0.9]), exact())
    assert kinds(found) == ["charged_hadron"] * 2
    assert sorted(found.pt) == pytest.approx([100 * 300.9 / 300, 200 * 300.9 / 300])


def test_a_tower_below_threshold_takes_its_tracks_along() -> None:
    assert len(see(particles([PION], [0.9], eta=0.0), exact())) == 0
    assert len(see(particles([MUON], [0.9], eta=0.0), exact())) == 1  # a muon leaves no tower


def test_a_track_takes_the_energy_of_its_tower() -> None:
    found = see(particles([PION] * 4000, [50.0] * 4000, spread=True))
    tracks = found.kind == KINDS.index("charged_hadron")
    energy = np.array([50 * np.cosh(0.04)])
    spread = HCAL.sigma(energy, np.array([0.04]))[0] / energy[0]
    # Towers with a significant excess keep the track as it is: the sum of tower and tracks has the tower's resolution.
    total = np.bincount(found.event, found.energy, minlength=4000)[np.unique(found.event[tracks])]
    assert total.std() / total.mean() == pytest.approx(spread, rel=0.1)
    assert total.mean() == pytest.approx(energy[0], rel=0.02)
    assert np.ptp(found.pt[tracks]) > 10


def test_untracked_hadrons_become_neutral() -> None:
    blind = replace(exact(), hadron_efficiency=((0.0, 0.0, 0.0),))
    assert kinds(see(particles([PION], [20.0]), blind)) == ["neutral_hadron"]


def test_photons_and_electrons_share_the_crystals() -> None:
    found = see(particles([ELECTRON, PHOTON], [200, 30], phi=0.0), exact())
    assert kinds(found) == ["electron", "photon"]
    electron = found.kind == KINDS.index("electron")
    assert found.charge[electron] == -1
    assert found.charge[~electron] == 0


def test_neutrinos_are_not_seen() -> None:
    assert len(see(particles([NEUTRINO], [50.0]))) == 0


def test_flags_and_charges() -> None:
    found = see(particles([PION, -2212, SIGMA, MUON], [30.0] * 4, spread=True), exact())
    order = np.argsort(found.event)
    assert found.kind[order].tolist() == [0, 0, -1, 4]
    assert found.charge[order].tolist() == [1, -1, -1, -1]
    columns = found.columns(order)
    assert columns["is_charged_hadron"].tolist() == [True, True, False, False]
    assert columns["is_muon"].tolist() == [False, False, False, True]


def test_impact_parameters_are_smeared_by_their_errors() -> None:
    count = 4000
    given = replace(
        particles([MUON] * count, [5.0] * count, spread=True), vertex=np.tile([0.0, 2.0, 3.0], (count, 1))
    )
    found = see(replace(given, phi=np.zeros(count)), exact())
    d0, d0_error, dz, dz_error = found.impact.T
    assert dict(zip(IMPACT, found.impact[0], strict=True))["d0_error"] == 0.0283
    assert set(d0_error) == {0.0283}
    assert set(dz_error) == {0.0484}
    assert d0.mean() == pytest.approx(-2.0, abs=0.003)
    assert d0.std() == pytest.approx(0.0283, rel=0.05)
    assert dz.mean() == pytest.approx(3.0, abs=0.005)
    assert dz.std() == pytest.approx(0.0484, rel=0.05)


def test_neutrals_have_no_impact_parameters() -> None:
    found = see(particles([PHOTON, KAON_LONG, PION], [20.0, 30.0, 40.0], spread=True), exact())
    neutral = found.charge == 0
    assert neutral.sum() == 2
    assert not found.impact[neutral].any()


def test_late_decays_are_lost() -> None:
    late = replace(particles([PION], [50.0]), vertex=np.array([[1300.0, 0, 0]]))
    assert len(see(late)) == 0


def test_thresholds_need_energy_and_significance() -> None:
    calorimeter = Calorimeter((0.0, 1.0), 1.0, 7, 5, 0.0, 1.0, 0.0, min_energy=1.0, significance=2.0)
    energy = np.array([0.9, 3.0, 5.0])
    assert calorimeter.above_threshold(energy, calorimeter.sigma(energy, energy)).tolist() == [
        False,
        False,
        True,
    ]
