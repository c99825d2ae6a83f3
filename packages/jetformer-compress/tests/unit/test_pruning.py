import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch

from jetformer_compress.errors import CompressError
from jetformer_compress.pruning import _keep_scores, plan, prune
from jetformer_model import training
from jetformer_model.config import Architecture, preset
from jetformer_model.dataset import TaggingData
from jetformer_model.flops import flops
from jetformer_model.network import JetFormer
from jetformer_model.state import State
from jetformer_model.testing import SMALL, example_batch, example_state
from jetformer_model.training import Recipe, predict

QUICK = Recipe(epochs=1, batch_size=128)


@pytest.mark.parametrize(("blocks", "expected"), ((4, 13_784), (5, 17_168), (6, 20_552)))
def test_half_of_the_published_models_is_the_published_half(blocks: int, expected: int) -> None:
    assert flops(plan(preset("tiny", features=3, classes=5, blocks=blocks), 0.5)) == expected


@pytest.mark.parametrize("ratio", (0.3, 0.4, 0.5, 0.6))
@pytest.mark.parametrize(("heads", "embed_dim"), ((2, 8), (4, 16), (3, 15)))
def test_what_torch_pruning_leaves_is_the_plan(
    heads: int, embed_dim: int, ratio: float, data: TaggingData
) -> None:
    architecture = Architecture.uniform(
        blocks=2, embed_dim=embed_dim, heads=heads, constituents=8, features=3, classes=5
    )
    few = dataclasses.replace(data, train=data.train.head(256), validation=data.validation.head(64))
    state = dataclasses.replace(example_state(architecture), inputs=data.inputs, class_names=data.class_names)
    pruned = prune(state, few, ratio, steps=2, recipe=QUICK).state
    assert pruned.architecture == plan(architecture, ratio)
    assert pruned.network.state_dict().keys() == state.network.state_dict().keys()


def test_pruning_in_five_steps_keeps_what_was_learned(trained: State, data: TaggingData) -> None:
    before = (predict(trained.network, data.validation).argmax(1) == data.validation.labels.numpy()).mean()
    weights = {name: tensor.clone() for name, tensor in trained.network.state_dict().items()}
    result = prune(trained, data, recipe=Recipe(epochs=2, batch_size=64))
    assert flops(result.state.architecture) == 13_784
    assert result.state.architecture.attention_dims == (4, 4, 4, 4)
    assert result.validation_accuracy > before - 0.1
    assert [epoch.epoch for epoch in result.history] == list(range(1, 11))
    assert all(torch.equal(weights[name], tensor) for name, tensor in trained.network.state_dict().items())


def test_killed_in_the_second_step_it_goes_on_with_the_same_bits(
    trained: State, data: TaggingData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = dataclasses.replace(data, train=data.train.head(256))
    recipe = Recipe(epochs=2, batch_size=64)
    undisturbed = prune(trained, few, steps=2, recipe=recipe)
    calls, one_epoch = 0, training._one_epoch

    def counted(*arguments: Any) -> float:
        nonlocal calls
        calls += 1
        if calls == 4:
            raise KeyboardInterrupt
        return one_epoch(*arguments)

    monkeypatch.setattr(training, "_one_epoch", counted)
    with pytest.raises(KeyboardInterrupt):
        prune(trained, few, steps=2, recipe=recipe, checkpoint=tmp_path / "kept")
    resumed = prune(trained, few, steps=2, recipe=recipe, checkpoint=tmp_path / "kept")
    assert calls == 5  # of the four epochs only the last was trained again
    assert resumed.history == undisturbed.history
    expected, found = undisturbed.state.network.state_dict(), resumed.state.network.state_dict()
    assert all(torch.equal(expected[name], found[name]) for name in expected)


def test_unimportant_dimensions_go_first(data: TaggingData) -> None:
    """Hidden channels whose outgoing weights are zero cannot change the loss."""
    state = example_state(dataclasses.replace(SMALL, constituents=8))
    network = state.network
    network.get_parameter("blocks.0.feedforward.expand_norm.bias").data.fill_(5)  # every channel is awake
    dead = [0, 3, 4, 7, 9, 10]
    network.get_parameter("blocks.0.feedforward.contract.weight").data[:, dead] = 0
    kept_columns = [c for c in range(12) if c not in dead]
    expected = network.get_parameter("blocks.0.feedforward.contract.weight").data[:, kept_columns].clone()
    frozen = Recipe(epochs=1, batch_size=512, learning_rate=1e-12, weight_decay=0.0)
    few = dataclasses.replace(data, train=data.train.head(512))
    architecture = prune(state, few, steps=1, recipe=frozen).state
    found = architecture.network.get_parameter("blocks.0.feedforward.contract.weight").data
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-6)


def test_scores_do_not_change_with_the_scale_of_narrower_heads() -> None:
    """Dimensions that were zero all along are removed: the logits must stay."""
    wide = example_state(dataclasses.replace(SMALL, attention_dims=(6, 6))).network
    assert isinstance(wide, JetFormer)
    kept = [0, 1, 3, 4]
    narrow = JetFormer(dataclasses.replace(wide.architecture, attention_dims=(4, 6))).eval()
    tensors = wide.state_dict()
    for name in ("q", "k", "v"):
        key = f"blocks.0.attention.{name}.weight"
        tensors[key][[2, 5]] = 0
    wide.load_state_dict(tensors)
    for name in ("q", "k", "v"):
        key = f"blocks.0.attention.{name}.weight"
        tensors[key] = tensors[key][kept]
    tensors["blocks.0.attention.output.weight"] = tensors["blocks.0.attention.output.weight"][:, kept]
    narrow.load_state_dict(tensors)
    _keep_scores(narrow, [6, 6])
    batch = example_batch(20)
    torch.testing.assert_close(narrow(*batch), wide(*batch), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("ratio", "message"),
    ((0.0, "between 0 and 1"), (1.0, "between 0 and 1"), (0.99, "nearer 0.5")),
)
def test_ratios_that_cannot_be_are_refused(ratio: float, message: str) -> None:
    with pytest.raises(CompressError, match=message):
        plan(SMALL, ratio)
