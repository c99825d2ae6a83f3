import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch

from jetformer_compress.binarisation import RECIPE, binarize
from jetformer_model import training
from jetformer_model.config import preset
from jetformer_model.dataset import TaggingData
from jetformer_model.one_bit import OneBit, OneBitJetFormer
from jetformer_model.state import State
from jetformer_model.training import Recipe, Run, predict

TINY = preset("tiny", features=3, classes=5)


def accuracy(network: torch.nn.Module, data: TaggingData) -> float:
    return float((predict(network, data.validation).argmax(1) == data.validation.labels.numpy()).mean())


@pytest.mark.parametrize("form", (OneBit(), OneBit(power_of_two=True), OneBit(normalise=True)))
def test_it_learns(form: OneBit, data: TaggingData) -> None:
    recipe = dataclasses.replace(RECIPE, epochs=12, learning_rate=5e-3)
    result = binarize(data, TINY, form, recipe)
    network = result.state.network
    assert isinstance(network, OneBitJetFormer)
    assert result.validation_accuracy == accuracy(network, data)  # frozen, it answers as it did
    assert result.validation_accuracy > 0.6  # by chance 0.2
    weights = network.blocks[2].feedforward.expand.weight
    assert len(weights.abs().unique()) == 1


def test_it_may_begin_with_the_weights_of_a_float_network(data: TaggingData, trained: State) -> None:
    frozen = Recipe(epochs=1, learning_rate=1e-12, weight_decay=0.0)
    network = binarize(data, trained.network, recipe=frozen).state.network
    weight = trained.network.blocks[1].attention.k.weight
    signs = network.blocks[1].attention.k.weight > 0
    assert torch.equal(signs, weight >= weight.mean())


def test_interrupted_it_goes_on_with_the_same_bits(
    data: TaggingData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = dataclasses.replace(data, train=data.train.head(256))
    recipe = dataclasses.replace(RECIPE, epochs=3)
    undisturbed = binarize(few, TINY, recipe=recipe)
    calls, one_epoch = 0, training._one_epoch

    def counted(*arguments: Any) -> float:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise KeyboardInterrupt
        return one_epoch(*arguments)

    monkeypatch.setattr(training, "_one_epoch", counted)
    with pytest.raises(KeyboardInterrupt):
        binarize(few, TINY, recipe=recipe, run=Run(tmp_path / "kept"))
    resumed = binarize(few, TINY, recipe=recipe, run=Run(tmp_path / "kept"))
    assert calls == 4
    assert resumed.history == undisturbed.history
    expected, found = (result.state.network.packed() for result in (undisturbed, resumed))
    assert all(torch.equal(expected[name], found[name]) for name in expected)
