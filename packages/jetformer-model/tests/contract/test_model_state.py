"""jetformer-model as the owner of the state interface keeps its own contract."""

from pathlib import Path
from typing import Any

import torch

from jetformer_model.errors import StateError
from jetformer_model.state import load, save
from jetformer_model.testing import StateReaderContract, StateWriterContract, example_batch, example_state


class TestWriter(StateWriterContract):
    def write_state(self, path: Path) -> None:
        save(path, example_state())


class TestReader(StateReaderContract):
    expected_error = StateError

    def use_state(self, path: Path) -> Any:
        return load(path)


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
