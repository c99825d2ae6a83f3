"""Simulated JetClass jets against real ones: multiplicities within 10 %, features loosely."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from jetformer_data.jets import offsets_of
from jetformer_data.raw import RawJets
from jetformer_data.simulation.substructure import n_subjettiness, soft_drop_mass

REAL = os.environ.get("JETFORMER_REAL_DATA")
pytestmark = pytest.mark.skipif(
    not REAL, reason="JETFORMER_REAL_DATA is not set: it names the folder of real jets"
)
for module in ("pythia8mc", "fastjet"):
    pytest.importorskip(module, reason="needs the extra 'generate'")


@pytest.fixture(scope="module")
def benchmark(load_benchmark: Callable[[str], ModuleType]) -> ModuleType:
    return load_benchmark("jetclass")


@pytest.fixture(scope="module")
def simulated(benchmark: ModuleType) -> RawJets:
    """300 jets of each of the three classes."""
    jets: RawJets = benchmark.simulate(900, seed=3)
    return jets


def test_multiplicities_are_within_ten_percent(benchmark: ModuleType, simulated: RawJets) -> None:
    pairs = benchmark.compare_multiplicities(benchmark.real_multiplicities(Path(str(REAL))), simulated)
    assert list(pairs) == ["Hbb", "Tbqq", "Tbl"]
    for name, pair in pairs.items():
        assert pair["simulated"] == pytest.approx(pair["real"], rel=0.1), name


def test_features_have_the_real_quantiles(benchmark: ModuleType, simulated: RawJets) -> None:
    pairs = benchmark.compare_features(benchmark.real_top_features(Path(str(REAL))), simulated)
    assert len(pairs) == 17
    for name, pair in pairs.items():
        real, ours = np.array(pair["real_quantiles"]), np.array(pair["simulated_quantiles"])
        # Charge and flags take two or three values: their means say all. Errors of d0 and dz are steps of a table.
        assert set(real) <= {-1, 0, 1} or np.abs(ours - real).max() <= 0.2 * np.ptp(real), name
        assert pair["simulated_mean"] == pytest.approx(pair["real_mean"], abs=0.05), name


def test_spectrum_is_the_real_one(benchmark: ModuleType, simulated: RawJets) -> None:
    with np.load(Path(str(REAL)) / "jetclass_hbb_real_1000.npz") as file:
        momenta = np.add.reduceat(file["p4"].astype(np.float64), file["offsets"][:-1])
    ours = simulated.select(simulated.labels == 0)
    pt, mass = np.hypot(momenta[:, 0], momenta[:, 1]), momenta[:, 3] ** 2 - (momenta[:, :3] ** 2).sum(axis=1)
    for real, made in ((pt, ours.column("jet_pt")), (np.sqrt(mass), ours.column("jet_mass"))):
        quantiles = np.quantile(real, (0.25, 0.5, 0.75)), np.quantile(made, (0.25, 0.5, 0.75))
        np.testing.assert_allclose(quantiles[1], quantiles[0], rtol=0.05)


def test_substructure_is_that_of_published_jets() -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="needs pyarrow to read JetClass-II")
    table = parquet.read_table(Path(str(REAL)) / "JetClassII_example.parquet").to_pydict()
    momenta = {
        column: np.concatenate([np.array(jet, float) for jet in table[f"part_{column}"]])
        for column in ("px", "py", "pz", "energy")
    }
    counts = np.array([len(jet) for jet in table["part_px"]])
    raw = RawJets(momenta, offsets_of(counts), np.zeros(len(counts), np.int64), ("any",))
    # Theirs are not of exactly the constituents that are stored, so it is the middle that must agree.
    pairs = {"jet_sdmass": soft_drop_mass(raw, 0.8)}
    pairs |= {f"jet_tau{axes}": n_subjettiness(raw, axes, 0.8) for axes in (1, 2, 3, 4)}
    for name, ours in pairs.items():
        theirs = np.array(table[name])
        ratio = ours[theirs > 0] / theirs[theirs > 0]
        assert len(ratio) > 90
        assert np.median(ratio) == pytest.approx(1, abs=0.03), name
