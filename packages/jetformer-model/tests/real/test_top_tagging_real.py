"""The real sample of the top tagging benchmark: it is read, and both sides get what they should."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from jetformer_data.jets import Jets

REAL = os.environ.get("JETFORMER_REAL_DATA")
pytestmark = pytest.mark.skipif(
    not REAL, reason="JETFORMER_REAL_DATA is not set: it names the folder of real jets"
)


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    path = Path(__file__).parents[2] / "benchmarks" / "top_tagging.py"
    spec = importlib.util.spec_from_file_location("top_tagging_benchmark", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def jets(benchmark: ModuleType) -> Jets:
    found: Jets = benchmark.read(Path(str(REAL)))
    return found


def test_label_1_is_the_top(benchmark: ModuleType, jets: Jets) -> None:
    mass, count = benchmark.mass_and_multiplicity(jets).T
    assert np.bincount(jets.labels).tolist() == [500, 500]
    # GeV; the top weighs 172.6
    assert 150 < np.median(mass[jets.labels == 1]) < 190
    assert np.median(mass[jets.labels == 0]) < 120
    assert np.median(count[jets.labels == 1]) > np.median(count[jets.labels == 0])


def test_folds_train_on_800_and_test_every_jet_once(benchmark: ModuleType, jets: Jets) -> None:
    folds = benchmark.folds_of(jets.labels)
    assert [(len(train), len(test)) for train, test in folds] == [(800, 200)] * 5
    assert sorted(np.concatenate([test for _, test in folds])) == list(range(1000))
    assert all(not set(train) & set(test) for train, test in folds)


def test_the_network_sees_mass_and_multiplicity_as_the_trees_do(benchmark: ModuleType, jets: Jets) -> None:
    mass, count = benchmark.mass_and_multiplicity(jets).T
    first = jets.offsets[:-1]
    np.testing.assert_allclose(np.exp(jets.column("log_mass")[first]), mass, rtol=1e-5)
    np.testing.assert_allclose(np.exp(jets.column("log_count")[first]), count, rtol=1e-5)


def test_inputs_are_normalised_by_the_training_jets_alone(benchmark: ModuleType, jets: Jets) -> None:
    train, test = benchmark.folds_of(jets.labels)[0]
    inputs = benchmark.inputs_of(jets.select(train))
    known, unknown = (benchmark.dataset(jets.select(rows), inputs) for rows in (train, test))
    real = known.x[known.mask].double()
    np.testing.assert_allclose(real.mean(0), 0, atol=1e-4)
    np.testing.assert_allclose(real.std(0), 1, atol=1e-3)
    # statistics of its own would make these 0 too
    assert unknown.x[unknown.mask].double().mean(0).abs().max() > 1e-3
