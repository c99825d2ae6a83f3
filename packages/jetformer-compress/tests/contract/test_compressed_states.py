"""jetformer-compress as a writer and reader of the state interface and as a reader of the array schema."""

import dataclasses
from pathlib import Path
from typing import Any, ClassVar

import pytest

from jetformer_compress.binarisation import binarizable, binarize
from jetformer_compress.calibration import Widths
from jetformer_compress.errors import CompressError
from jetformer_compress.measuring import measure
from jetformer_compress.pruning import prune
from jetformer_compress.pruning_plan import Pruning
from jetformer_compress.quantisation import post_training, quantize
from jetformer_data.testing import ReaderContract
from jetformer_model.config import Architecture
from jetformer_model.dataset import TaggingData, tagging_data_for
from jetformer_model.errors import ModelError, StateError
from jetformer_model.fixed_point import FixedPointNetwork
from jetformer_model.integer_evaluation import integer_logits
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
        found = predict(loaded.network, self.data.validation)
        assert (found == predict(self.state.network, self.data.validation)).all()

    def test_the_network_computes_the_integers_of_the_interface(self, written: Path) -> None:
        network, jets = load(written).network, self.data.validation.head(60)
        assert isinstance(network, FixedPointNetwork)
        assert (predict(network, jets) == integer_logits(network, jets.x.numpy(), jets.mask.numpy())).all()


class StateReader(StateReaderContract):
    """Of states with 5 constituents; a few jets and steps are enough to see that one is used."""

    expected_error = (StateError, CompressError)

    @pytest.fixture(autouse=True)
    def _jets(self, jets_file: Path) -> None:
        self.jets_file = jets_file

    def data_for(self, state: State) -> TaggingData:
        data = tagging_data_for(state, self.jets_file)
        return dataclasses.replace(data, train=data.train.head(100), validation=data.validation.head(50))


class TestPruneReads(StateReader):
    refused: ClassVar = {
        "one_bit": "a one-bit network cannot be pruned",
        "fixed_point": "a fixed-point network cannot be pruned",
    }

    def use_state(self, path: Path) -> Any:
        return prune(load(path), self.data_for(load(path)), Pruning(steps=1), Recipe(epochs=1))


class TestBinarizeReads(StateReader):
    refused: ClassVar = {"one_bit": "one bit already", "fixed_point": "this is a fixed-point network"}

    def use_state(self, path: Path) -> Any:
        network = binarizable(load(path))
        return binarize(self.data_for(load(path)), network, recipe=Recipe(epochs=1))


class TestQuantizeReads(StateReader):
    refused: ClassVar = {"fixed_point": "in fixed point already"}

    def use_state(self, path: Path) -> Any:
        return quantize(load(path), self.data_for(load(path)), recipe=Recipe(epochs=1))


class TestBenchReads(StateReader):
    def use_state(self, path: Path) -> Any:
        return list(measure([path], self.jets_file, batches=(2,), seconds=0.0))


class TestArraySchema(ReaderContract):
    expected_error = (ModelError, ReaderContract.expected_error)  # type: ignore[assignment]

    def use_jets(self, path: Path) -> Any:
        state = example_state(SHAPE)
        network = post_training(state, tagging_data_for(state, path).train, Widths())
        return network.quantiser("tokens").kif.numpy()
