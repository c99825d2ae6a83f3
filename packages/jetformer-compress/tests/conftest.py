from pathlib import Path

import pytest

from jetformer_data.schema import write
from jetformer_data.testing import example_jets
from jetformer_model.config import preset
from jetformer_model.dataset import TaggingData, tagging_data
from jetformer_model.state import State, save
from jetformer_model.training import Recipe, train


@pytest.fixture(scope="session")
def jets_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "jets.h5"
    write(path, example_jets(jets=2000, seed=3))
    return path


@pytest.fixture(scope="session")
def data(jets_file: Path) -> TaggingData:
    return tagging_data(jets_file, constituents=8)


@pytest.fixture(scope="session")
def trained(data: TaggingData) -> State:
    recipe = Recipe(epochs=12, batch_size=64, learning_rate=5e-3)
    return train(data, preset("tiny", features=3, classes=5), recipe=recipe).state


@pytest.fixture(scope="session")
def trained_file(trained: State, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("state") / "tiny.safetensors"
    save(path, trained)
    return path
