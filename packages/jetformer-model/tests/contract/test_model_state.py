"""jetformer-model as the owner of the state interface keeps its own contract."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from jetformer_model.errors import StateError
from jetformer_model.state import check, load, save
from jetformer_model.testing import (
    StateReaderContract,
    StateWriterContract,
    example_batch,
    example_fixed_point_state,
    example_state,
)


class TestWriter(StateWriterContract):
    def write_state(self, path: Path) -> None:
        save(path, example_state())


class TestReader(StateReaderContract):
    expected_error = StateError

    def use_state(self, path: Path) -> Any:
        return load(path)


class TestFixedPointWriter(StateWriterContract):
    def write_state(self, path: Path) -> None:
        save(path, example_fixed_point_state())


class TestFixedPointReader(StateReaderContract):
    expected_error = StateError
    weight, bias = "q.weight", "embedding.bias"

    def make_state(self, path: Path) -> None:
        save(path, example_fixed_point_state())

    def use_state(self, path: Path) -> Any:
        return load(path)

    def test_an_older_fixed_point_state_is_refused_with_the_way_out(self, tmp_path: Path) -> None:
        self._refuses(self._edited(tmp_path, version="1.1"), "quantise the float state again")

    def test_a_graph_that_is_none_is_refused(self, tmp_path: Path) -> None:
        self._refuses(self._edited(tmp_path, graph=[{"op": "sin", "name": "a", "of": []}]), "operation 'sin'")

    @pytest.mark.parametrize(
        ("name", "tensor", "reason"),
        (
            ("head.weight.kif", torch.zeros(4, 3, dtype=torch.int8), "'head.weight'"),
            ("exp.entries", torch.zeros(3), "'exp.entries': expected float32 (64,), got float32 (3,)"),
            ("nothing", torch.zeros(3), "'nothing' is not part of this network"),
        ),
    )
    def test_what_does_not_fit_the_graph_is_refused(
        self, name: str, tensor: torch.Tensor, reason: str, tmp_path: Path
    ) -> None:
        path = self._edited(tmp_path)
        header = {"jetformer": safe_open(path, framework="pt").metadata()["jetformer"]}
        save_file(load_file(path) | {name: tensor}, path, header)
        self._refuses(path, reason)

    def test_a_value_off_its_grid_is_found(self, tmp_path: Path) -> None:
        state = example_fixed_point_state()
        save(tmp_path / "s.safetensors", state)
        tensors = load_file(tmp_path / "s.safetensors")
        header = {"jetformer": safe_open(tmp_path / "s.safetensors", framework="pt").metadata()["jetformer"]}
        tensors["k.weight"][0, 0] += 1e-3
        save_file(tensors, tmp_path / "s.safetensors", header)
        with pytest.raises(StateError, match=r"'k.weight' has values off the grid"):
            check(tmp_path / "s.safetensors")


def test_a_float_state_of_version_1_is_read(tmp_path: Path) -> None:
    path = TestReader()._edited(tmp_path, version="1.0")
    assert load(path).kind == "float"


def test_a_loaded_network_computes_what_the_saved_one_did(tmp_path: Path) -> None:
    state, batch = example_state(), example_batch(13)
    save(tmp_path / "s.safetensors", state)
    loaded = load(tmp_path / "s.safetensors")
    assert torch.equal(loaded.network(*batch), state.network(*batch))
    assert (loaded.inputs, loaded.class_names, loaded.architecture) == (
        state.inputs,
        state.class_names,
        state.architecture,
    )
