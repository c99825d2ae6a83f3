"""jetformer-compress as a writer and reader of the state interface and as a reader of the array schema."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch

from jetformer_compress.binarisation import binarize
from jetformer_compress.calibration import Widths
from jetformer_compress.pruning import prune
from jetformer_compress.pruning_plan import Pruning, plan
from jetformer_compress.quantisation import post_training
from jetformer_data.testing import ReaderContract
from jetformer_model.config import Architecture
from jetformer_model.dataset import TaggingData, tagging_data_for
from jetformer_model.errors import ModelError, StateError
from jetformer_model.state import State, load, save
from jetformer_model.testing import StateReaderContract, StateWriterContract, example_state
from jetformer_model.training import Recipe, predict

SHAPE = Architecture.uniform(blocks=2, embed_dim=8, heads=2, constituents=8, features=3, classes=5)


class TestPrunedState(StateWriterContract):
    @pytest.fixture(autouse=True)
    def _data(self, data: TaggingData) -> None:
        self.data = dataclasses.replace(data, train=data.train.head(200), validation=data.validation.head(50))

    def write_state(self, path: Path) -> None:
        save(path, prune(example_state(SHAPE), self.data, Pruning(steps=1), Recipe(epochs=1)).state)


class TestOneBitState(TestPrunedState):
    def write_state(self, path: Path) -> None:
        save(path, binarize(self.data, SHAPE, recipe=Recipe(epochs=1)).state)


class TestFixedPointState(StateWriterContract):
    @pytest.fixture(autouse=True)
    def _data(self, trained: State, data: TaggingData) -> None:
        self.state = dataclasses.replace(trained, network=post_training(trained, data.train, Widths()))
        self.data = data

    def write_state(self, path: Path) -> None:
        save(path, self.state)

    def test_a_loaded_fixed_point_network_gives_the_same_bits(self, written: Path) -> None:
        loaded = load(written)
        assert (
            predict(loaded.network, self.data.validation) == predict(self.state.network, self.data.validation)
        ).all()


class TestStateReader(StateReaderContract):
    expected_error = StateError

    def use_state(self, path: Path) -> Any:
        return plan(load(path).architecture, Pruning(0.5))


class TestArraySchema(ReaderContract):
    expected_error = (ModelError, ReaderContract.expected_error)  # type: ignore[assignment]

    def use_jets(self, path: Path) -> Any:
        state = example_state(SHAPE)
        return (
            post_training(state, tagging_data_for(state, path).train, Widths())
            .state_dict()["tokens.kif"]
            .numpy()
        )


def test_a_fixed_point_state_with_a_value_off_its_grid_is_found(
    trained: State, data: TaggingData, tmp_path: Path
) -> None:
    from safetensors import safe_open
    from safetensors.torch import load_file, save_file

    from jetformer_model.state import check

    path = tmp_path / "fixed.safetensors"
    save(path, dataclasses.replace(trained, network=post_training(trained, data.train, Widths())))
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    tensors = load_file(path)
    tensors["blocks.1.attention.k.weight"][0, 0] += 1e-3
    save_file(tensors, path, metadata)
    with pytest.raises(StateError, match=r"blocks.1.attention.k.weight.*off the grid"):
        check(path)
    assert torch.is_tensor(tensors["head.bias"])
