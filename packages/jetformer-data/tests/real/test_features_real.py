"""Our features against those that were published with real JetClass jets."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from jetformer_data.features import FEATURE_SETS, to_jets
from jetformer_data.raw import RawJets

REAL = os.environ.get("JETFORMER_REAL_DATA")
pytestmark = pytest.mark.skipif(
    not REAL, reason="JETFORMER_REAL_DATA is not set: it names the folder of real jets"
)


def test_standardised_kinematics_of_top_jets_are_the_published_ones() -> None:
    with np.load(Path(str(REAL)) / "jetclass_top_real_200.npz") as file:
        p4, offsets, published = (
            file["p4"].astype(np.float64),
            file["offsets"],
            file["features"].astype(np.float64),
        )
        labels = file["labels"]
    names = [feature.name for feature in FEATURE_SETS["jetclass-17"].features]
    column = {name: published[:, k] for k, name in enumerate(names)}
    first = offsets[:-1]
    # A JetClass file holds jet_eta and jet_energy, which are not exactly those of the sum of constituents; the sample
    # holds constituents alone, so both are taken from the hardest constituent of each jet. All others must agree.
    eta = np.arcsinh(p4[:, 2] / np.hypot(p4[:, 0], p4[:, 1]))
    side = np.where(np.add.reduceat(p4[:, 2], first) < 0, -1, 1)
    jets = {
        "jet_eta": eta[first] - side * column["part_deta"][first],
        "jet_energy": p4[first, 3] / np.exp(column["part_logerel"][first] / 0.7 - 4.7),
    }
    momenta = {name: p4[:, k] for k, name in enumerate(("px", "py", "pz", "energy"))}
    raw = RawJets(momenta, offsets, labels, tuple(f"class {k}" for k in range(10)), jets)
    ours, _ = to_jets(raw, FEATURE_SETS["jetclass-kin"])
    assert ours.normalisation is not None
    standard = (ours.constituents - ours.normalisation.mean) / ours.normalisation.std
    wanted = np.stack([column[name] for name in ours.feature_names], axis=1)
    np.testing.assert_array_equal(ours.offsets, offsets)
    # the sample is not limited to [-5, 5]
    np.testing.assert_allclose(standard, np.clip(wanted, -5, 5), atol=2e-5)
    assert (np.abs(wanted) > 5).mean() < 0.01
