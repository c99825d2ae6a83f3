import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch

from jetformer_data.schema import write
from jetformer_data.testing import example_jets
from jetformer_model import training
from jetformer_model.config import preset
from jetformer_model.dataset import TaggingData, tagging_data
from jetformer_model.errors import ModelError
from jetformer_model.training import Recipe, TrainingResult

RECIPE = Recipe(epochs=5, batch_size=64, learning_rate=5e-3)
DROPOUT = preset("tiny", features=3, classes=5, blocks=2, dropout=0.1)  # draws from the global generator


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> TaggingData:
    path = tmp_path_factory.mktemp("data") / "jets.h5"
    write(path, example_jets(jets=400, seed=4))
    return tagging_data(path, constituents=8)


def train(data: TaggingData, checkpoint: Path | None, recipe: Recipe = RECIPE) -> TrainingResult:
    return training.train(data, DROPOUT, recipe=recipe, run=training.Run(checkpoint))


def kill_in_epoch(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    calls, one_epoch = 0, training._one_epoch

    def killed(*arguments: Any) -> float:
        nonlocal calls
        calls += 1
        if calls == number:
            raise KeyboardInterrupt
        return one_epoch(*arguments)

    monkeypatch.setattr(training, "_one_epoch", killed)


@pytest.mark.parametrize("epoch", (1, 2, 5))
def test_killed_and_resumed_gives_the_same_bits(
    epoch: int, data: TaggingData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    undisturbed = train(data, None)
    with monkeypatch.context() as patch:
        kill_in_epoch(epoch, patch)
        with pytest.raises(KeyboardInterrupt):
            train(data, tmp_path / "checkpoint")
    torch.rand(7)  # whatever else happened to the global generator
    resumed = train(data, tmp_path / "checkpoint")
    assert resumed.history == undisturbed.history
    expected, found = undisturbed.state.network.state_dict(), resumed.state.network.state_dict()
    assert all(torch.equal(expected[name], found[name]) for name in expected)


def test_finished_epochs_are_not_trained_again(
    data: TaggingData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = train(data, tmp_path / "checkpoint")
    kill_in_epoch(1, monkeypatch)
    assert train(data, tmp_path / "checkpoint").history == first.history


@pytest.mark.parametrize("change", ({"seed": 1}, {"learning_rate": 1e-3}))
def test_another_training_neither_takes_the_checkpoint_up_nor_writes_over_it(
    change: dict[str, Any], data: TaggingData, tmp_path: Path
) -> None:
    train(data, tmp_path / "checkpoint")
    content = (tmp_path / "checkpoint").read_bytes()
    with pytest.raises(ModelError, match="left by a training with other settings"):
        train(data, tmp_path / "checkpoint", dataclasses.replace(RECIPE, **change))
    assert (tmp_path / "checkpoint").read_bytes() == content


def test_a_damaged_checkpoint_means_training_from_the_start(data: TaggingData, tmp_path: Path) -> None:
    first = train(data, tmp_path / "checkpoint")
    content = (tmp_path / "checkpoint").read_bytes()
    (tmp_path / "checkpoint").write_bytes(content[:1000])
    assert train(data, tmp_path / "checkpoint").history == first.history
