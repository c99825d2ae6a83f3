"""Simulated jets are physics: seeded, with limits wide enough for another version of Pythia."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from jetformer_data import schema
from jetformer_data.jets import Jets
from jetformer_data.kinematics import jet_axis_features


@pytest.fixture(scope="module")
def jets(simulated: Path) -> Jets:
    return schema.read(simulated)


def of_class(jets: Jets, name: str) -> Jets:
    return jets.select(jets.labels == jets.class_names.index(name))


def test_classes_are_balanced_and_mixed(jets: Jets) -> None:
    assert jets.class_names == ("g", "q", "W", "Z", "t")
    assert np.bincount(jets.labels).tolist() == [50] * 5
    assert set(jets.labels[:40]) == set(range(5))


@pytest.mark.parametrize(("name", "mass"), (("W", 80.4), ("Z", 91.2), ("t", 173.0)))
def test_mass_peaks_lie_at_the_particles_masses(jets: Jets, name: str, mass: float) -> None:
    masses = of_class(jets, name).jet_column("jet_mass")
    peak = masses[np.abs(masses - mass) < 0.15 * mass]
    assert len(peak) > 0.35 * len(masses)
    assert np.median(peak) == pytest.approx(mass, rel=0.04)


def test_light_jets_are_lighter(jets: Jets) -> None:
    median = {name: np.median(of_class(jets, name).jet_column("jet_mass")) for name in jets.class_names}
    assert median["q"] < median["W"] < median["Z"] < median["t"]
    assert median["q"] < median["g"] < median["t"]


# Means of the public set: 66.8, 39.1, 38.1, 40.1, 63.4. 50 jets give 2-3 of error.
@pytest.mark.parametrize(("name", "mean"), (("g", 66.8), ("q", 39.1), ("W", 38.1), ("Z", 40.1), ("t", 63.4)))
def test_multiplicities_are_those_of_the_public_set(jets: Jets, name: str, mean: float) -> None:
    assert of_class(jets, name).multiplicity.mean() == pytest.approx(mean, rel=0.2)


def test_jets_are_in_the_window(jets: Jets) -> None:
    pt, eta = jets.jet_column("jet_pt"), jets.jet_column("jet_eta")
    assert pt.min() >= 800
    assert pt.max() <= 1600
    # The hardest jet of a pair of partons at 1 TeV.
    assert np.quantile(pt, (0.25, 0.75)) == pytest.approx([975, 1060], abs=35)
    assert np.abs(eta).max() < 5
    phi = jets.jet_column("jet_phi")
    assert phi.min() >= np.float32(-np.pi)
    assert phi.max() < np.pi


def test_constituents_lie_around_the_jet(jets: Jets) -> None:
    distance = np.hypot(jets.column("etarel"), jets.column("phirel"))
    # Jets are clustered in rapidity, which for soft and massive particles is not eta.
    assert (distance > 0.4).mean() < 0.01
    assert np.abs(jets.column("phirel")).max() < 1


def test_jet_features_are_those_of_the_constituents(jets: Jets) -> None:
    axis = (jets.jet_column("jet_eta").astype(float), jets.jet_column("jet_phi").astype(float))
    again = jet_axis_features(jets.constituents, jets.offsets, *axis)
    assert jets.jet_features is not None
    np.testing.assert_allclose(again[:, 0], jets.jet_features[:, 0], rtol=1e-4)
    # Tracks have the masses of their particles in the jet's mass, and none in what is stored of them.
    lost = jets.jet_features[:, 3] - again[:, 3]
    assert lost.min() > -0.01
    assert np.median(lost) < 4
    np.testing.assert_allclose(again[:, 1], jets.jet_features[:, 1], atol=1e-5)


def test_provenance_says_how_to_make_them_again(jets: Jets) -> None:
    assert jets.provenance["program"] == "jetformer-data generate"
    assert jets.provenance["seed"] == 11
    assert jets.provenance["style"]["jet_pt"] == [800.0, 1600.0]
    assert "WeakDoubleBoson:ffbar2WW = on" in jets.provenance["pythia"]["W"]
