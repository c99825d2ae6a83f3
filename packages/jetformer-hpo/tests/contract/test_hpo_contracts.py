"""jetformer-hpo against the owners of the interfaces it consumes."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest

from jetformer_data import schema
from jetformer_data.testing import ReaderContract, example_jets
from jetformer_hpo import objectives, trial
from jetformer_hpo.errors import SearchError
from jetformer_model import state
from jetformer_model.flops import INTERFACE_VERSION as FLOPS_VERSION
from jetformer_model.flops import flops
from jetformer_model.testing import StateReaderContract


def run(jets: Path, folder: Path) -> dict[str, float]:
    """One trial on these jets; returns the objectives."""
    request = {
        "settings": {"blocks": 2, "embed_dim": 8, "heads": 2, "dropout": 0.0},
        "data": [str(jets)],
        "features": ["pt", "etarel", "phirel"],
        "min_pt_gev": 2.0,
        "constituents": 6,
        "recipe": {"epochs": 1},
        "seed": 3,
        "objectives": ["accuracy", "flops"],
    }
    (folder / "request.json").write_text(json.dumps(request))
    trial.run(folder)
    values: dict[str, float] = json.loads((folder / "result.json").read_text())["values"]
    return values


class TestArraySchema(ReaderContract):
    """A trial reads jets by the schema alone."""

    def use_jets(self, path: Path) -> Any:
        with tempfile.TemporaryDirectory() as folder:
            return run(path, Path(folder))


class TestStates(StateReaderContract):
    """Objectives read states by the interface alone, whatever made them."""

    expected_error = SearchError

    @pytest.fixture(autouse=True)
    def _jets(self, tmp_path: Path) -> None:
        self.jets = tmp_path / "jets.h5"
        schema.write(self.jets, example_jets(300, seed=2))  # each class among those of validation

    def use_state(self, path: Path) -> Any:
        names = ("flops", "parameters", "auc", "latency_us")
        return objectives.measure(names, objectives.Trained(path, (self.jets,)))


def test_versions_are_those_this_package_was_written_for() -> None:
    assert schema.VERSION.split(".")[0] == "1"
    assert FLOPS_VERSION.split(".")[0] == "1"
    assert state.INTERFACE_VERSION.split(".")[0] == "2"


def test_a_trial_leaves_a_valid_state_and_the_counter_s_flops(tmp_path: Path) -> None:
    schema.write(tmp_path / "jets.h5", example_jets(60, seed=2))
    values = run(tmp_path / "jets.h5", tmp_path)
    state.check(tmp_path / "state.safetensors")
    assert values["flops"] == flops(state.load(tmp_path / "state.safetensors").architecture)
