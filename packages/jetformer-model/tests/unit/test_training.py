import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from jetformer_model.config import preset
from jetformer_model.dataset import TaggingData, open_split, tagging_data, tagging_data_for
from jetformer_model.errors import ModelError
from jetformer_model.training import Epoch, Recipe, fit, predict, train

TINY = preset("tiny", features=3, classes=5)
QUICK = Recipe(epochs=6, batch_size=64, learning_rate=5e-3, seed=2)


@pytest.fixture(scope="module")
def data(jets_file: Path) -> TaggingData:
    return tagging_data(jets_file, constituents=8)


def test_training_learns_and_keeps_the_best_epoch(data: TaggingData) -> None:
    result = train(data, TINY, recipe=QUICK)
    assert result.validation_accuracy > 0.5  # chance is 0.2
    assert result.best.validation_loss == min(epoch.validation_loss for epoch in result.history)
    logits = torch.from_numpy(predict(result.state.network, data.validation))
    loss = nn.functional.cross_entropy(logits, data.validation.labels)
    assert loss.item() == pytest.approx(result.best.validation_loss, rel=1e-6)


def test_the_same_seed_gives_the_same_weights(data: TaggingData) -> None:
    recipe = dataclasses.replace(QUICK, epochs=1)
    first, second = (train(data, TINY, recipe=recipe).state.network.state_dict() for _ in range(2))
    other = train(data, TINY, recipe=dataclasses.replace(recipe, seed=3)).state.network.state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["class_token"], other["class_token"])


class _Memoriser(nn.Module):
    """Its validation loss only gets worse: the bias of the wrong class grows."""

    def __init__(self) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(5))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        return self.bias.expand(len(x), 5) * (1 if self.training else -1)


def test_training_stops_when_patience_is_out(data: TaggingData) -> None:
    one_class = dataclasses.replace(data.train, labels=torch.zeros_like(data.train.labels))
    held_out = dataclasses.replace(data.validation, labels=torch.zeros_like(data.validation.labels))
    history, best = fit(_Memoriser(), one_class, held_out, Recipe(epochs=9, patience=3))
    assert (best.epoch, len(history)) == (1, 4)


def test_a_loss_that_is_no_number_is_an_error(data: TaggingData) -> None:
    broken = dataclasses.replace(data, train=dataclasses.replace(data.train, x=data.train.x * torch.nan))
    with pytest.raises(ModelError, match="no number in epoch 1"):
        train(broken, TINY, recipe=QUICK)


def test_splits_are_disjoint_and_normalised_by_the_training_split(jets_file: Path, data: TaggingData) -> None:
    test = open_split(jets_file, "test", data.inputs, 8)
    everything = torch.cat([data.train.index, data.validation.index, test.index])
    assert sorted(everything.tolist()) == list(range(1500))
    real = data.train.x[data.train.mask].double()
    np.testing.assert_allclose(real.mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(real.std(0, correction=0), 1, atol=1e-6)


def test_a_state_meets_only_files_of_its_classes(jets_file: Path, data: TaggingData) -> None:
    state = train(data, TINY, recipe=dataclasses.replace(QUICK, epochs=1)).state
    assert torch.equal(tagging_data_for(state, jets_file).train.x, data.train.x)
    with pytest.raises(ModelError, match="its classes are g, q, W, Z, t, the network's are a, b"):
        tagging_data_for(dataclasses.replace(state, class_names=("a", "b")), jets_file)


def test_an_architecture_that_does_not_fit_the_data_is_refused(data: TaggingData) -> None:
    with pytest.raises(ModelError, match="expects 9 constituents x 3 features, the data have 8 x 3"):
        train(data, preset("tiny", features=3, classes=5, constituents=9))
    with pytest.raises(ModelError, match="4 classes, the data 5"):
        train(data, preset("tiny", features=3, classes=4))


class _Large(nn.Module):
    """A network that fits into the memory of its GPU with at most `most` jets a step."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most = most
        self.bias = nn.Parameter(torch.zeros(5))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        if len(x) > self.most:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return self.bias.expand(len(x), 5)


@pytest.mark.parametrize(
    ("most", "advice"), ((40, "a batch size of 32"), (0, "even one jet a step is too much"))
)
def test_too_little_memory_is_a_sentence_with_a_batch_size_that_fits(
    most: int, advice: str, data: TaggingData
) -> None:
    with pytest.raises(ModelError, match=f"too small for 128 jets a step; .*{advice}"):
        fit(_Large(most), data.train, data.validation, Recipe(batch_size=128))


def test_what_is_told_after_each_epoch_is_the_history(data: TaggingData) -> None:
    told: list[tuple[Epoch, ...]] = []
    result = train(data, "deep-sets", recipe=QUICK, after_epoch=lambda epochs: told.append(tuple(epochs)))
    assert [len(epochs) for epochs in told] == [1, 2, 3, 4, 5, 6]
    assert told[-1] == result.history


def test_augmentation_changes_what_is_learnt(data: TaggingData) -> None:
    recipe = dataclasses.replace(QUICK, epochs=2)
    plain, turned = (train(data, "deep-sets", recipe=recipe, augment=augment) for augment in (False, True))
    assert plain.history[0].training_loss != turned.history[0].training_loss


@pytest.mark.parametrize("tagger", ("mlp", "particlenet", "jetformer-tiny"))
def test_any_tagger_is_trained_by_its_name(tagger: str, data: TaggingData) -> None:
    result = train(data, tagger, recipe=dataclasses.replace(QUICK, epochs=4))
    assert result.validation_accuracy > 0.3
    assert result.state.constituents == 8
