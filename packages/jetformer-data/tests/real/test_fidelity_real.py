"""Simulated HLS4ML jets against real ones, loosely: the benchmark has the exact figures."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from jetformer_data.raw import RawJets

REAL = os.environ.get("JETFORMER_REAL_DATA")
pytestmark = pytest.mark.skipif(
    not REAL, reason="JETFORMER_REAL_DATA is not set: it names the folder of real jets"
)
for module in ("pythia8mc", "fastjet"):
    pytest.importorskip(module, reason="needs the extra 'generate'")
# Size of a cell around phi; along eta it is 0.005.
CELL = 2 * np.pi / 1256


@pytest.fixture(scope="module")
def benchmark(load_benchmark: Callable[[str], ModuleType]) -> ModuleType:
    return load_benchmark("fidelity")


@pytest.fixture(scope="module")
def real(benchmark: ModuleType) -> RawJets:
    jets: RawJets = benchmark.read_real(Path(str(REAL)))
    return jets


@pytest.fixture(scope="module")
def simulated(benchmark: ModuleType) -> RawJets:
    """440 jets a class: two samples as large as the real one."""
    jets: RawJets = benchmark.simulate(2_200, seed=3)
    return jets


def test_halves_share_no_jet_and_lose_none(benchmark: ModuleType, real: RawJets) -> None:
    halves = [benchmark.half_of(real, half) for half in (0, 1)]
    assert sum(len(half) for half in halves) == len(real) == 1000
    first = [set(half.column("etarel")[half.offsets[:-1]]) for half in halves]
    assert not first[0] & first[1]
    assert np.abs(np.subtract(*(np.bincount(half.labels) for half in halves))).max() <= 1


@pytest.mark.parametrize("half", (0, 1))
def test_multiplicities_are_the_real_ones(
    benchmark: ModuleType, real: RawJets, simulated: RawJets, half: int
) -> None:
    for name, pair in benchmark.compare(benchmark.half_of(real, half), simulated).items():
        count = pair["multiplicity"]
        # 5 %, and two standard errors of half of the real jets
        assert abs(count["simulated"] - count["real"]) < 0.05 * count["real"] + 2 * count["error"], name


def test_leading_constituents_are_as_far_apart(
    benchmark: ModuleType, real: RawJets, simulated: RawJets
) -> None:
    for name, pair in benchmark.compare(real, simulated).items():
        tolerance = 0.25 if name == "q" else 0.12
        assert pair["delta_r"]["simulated"] == pytest.approx(pair["delta_r"]["real"], rel=tolerance), name


def test_as_many_constituents_lie_on_a_grid(real: RawJets, simulated: RawJets) -> None:
    """The cells of the calorimeter, from the angles alone."""
    shares = [np.mean([on_grid(jets, j) for j in range(400)]) for jets in (real, simulated)]
    assert shares[0] == pytest.approx(0.43, abs=0.03)
    assert shares[1] == pytest.approx(shares[0], abs=0.03)


def on_grid(jets: RawJets, j: int) -> float:
    """The largest share of a jet's constituents whose angles differ by whole numbers of cells."""
    rows = slice(jets.offsets[j], jets.offsets[j + 1])
    steps = [jets.column("etarel")[rows] / 0.005, jets.column("phirel")[rows] / CELL]
    apart = [np.abs(step[:, None] - step - np.round(step[:, None] - step)) for step in steps]
    return float(((apart[0] < 0.01) & (apart[1] < 0.01)).mean(axis=1).max())


def test_classes_are_as_easily_told_apart(benchmark: ModuleType, real: RawJets, simulated: RawJets) -> None:
    pytest.importorskip("sklearn", reason="needs scikit-learn")
    for row in benchmark.compare_accuracies(real, simulated):
        assert row["simulated"] == pytest.approx(row["real"], abs=4 * row["error"]), row["k"]
