import dataclasses
import itertools
from pathlib import Path
from typing import Any

import pytest
import torch

from jetformer_compress.cutting import choose, cut_out, keep_scores
from jetformer_compress.errors import CompressError
from jetformer_compress.importance import Scores, score
from jetformer_compress.pruning import foresee, prunable, prune
from jetformer_compress.pruning_plan import Pruning, plan
from jetformer_model import training
from jetformer_model.config import Architecture
from jetformer_model.dataset import TaggingData
from jetformer_model.flops import flops, parameters
from jetformer_model.inputs import Inputs
from jetformer_model.network import JetFormer
from jetformer_model.state import State
from jetformer_model.taggers import build
from jetformer_model.testing import SMALL, example_batch, example_state
from jetformer_model.training import Recipe, Run, predict

QUICK = Recipe(epochs=1, batch_size=128)
CPU = torch.device("cpu")


def few(data: TaggingData, jets: int = 256) -> TaggingData:
    return dataclasses.replace(data, train=data.train.head(jets), validation=data.validation.head(64))


def shaped(data: TaggingData, **shape: Any) -> State:
    settings = {"blocks": 2, "embed_dim": 8, "heads": 2, "constituents": 8, "features": 3, "classes": 5}
    state = example_state(Architecture.uniform(**(settings | shape)))
    for block in prunable(state).each_block():
        block.feedforward.expand_norm.bias.data.fill_(5)  # every hidden dimension is awake
    return dataclasses.replace(state, inputs=data.inputs, class_names=data.class_names)


@pytest.mark.parametrize("norm", ("batch", "layer"))
@pytest.mark.parametrize(
    ("pruning", "heads", "embed_dim"),
    (
        (Pruning(0.3), 2, 8),
        (Pruning(0.6, importance="l1"), 3, 15),
        (Pruning(0.5, heads=True, importance="l2"), 4, 16),
        (Pruning(0.4, residual=True), 2, 8),
        (Pruning(0.5, heads=True, residual=True), 3, 15),
    ),
)
def test_what_torch_pruning_leaves_is_the_plan(
    pruning: Pruning, heads: int, embed_dim: int, norm: str, data: TaggingData
) -> None:
    state = shaped(data, heads=heads, embed_dim=embed_dim, norm=norm)
    found = prune(state, few(data), dataclasses.replace(pruning, steps=2), QUICK).state
    assert found.architecture == plan(state.architecture, pruning)
    expected = {name: tensor.shape for name, tensor in JetFormer(found.architecture).state_dict().items()}
    assert {name: tensor.shape for name, tensor in found.network.state_dict().items()} == expected
    assert sum(p.numel() for p in found.network.parameters()) == parameters(found.architecture)
    assert [block.attention.heads for block in prunable(found).each_block()] == [found.architecture.heads] * 2


def test_one_ranking_over_all_blocks_leaves_the_same_flops_in_other_places(data: TaggingData) -> None:
    """Hidden dimensions of the first block do nothing, heads' dimensions of the second."""
    state, how = shaped(data), Pruning(0.5, scope="global")
    state.network.get_parameter("blocks.0.feedforward.contract.weight").data *= 1e-4
    state.network.get_parameter("blocks.1.attention.output.weight").data *= 1e-4
    left, everywhere = foresee(state, few(data), how, QUICK), plan(state.architecture, how)
    assert flops(left) == flops(everywhere)
    assert parameters(left) == parameters(everywhere)
    assert left.feedforward_dims == (1, 15)
    assert left.attention_dims == (6, 2)
    assert prune(state, few(data), dataclasses.replace(how, steps=1), QUICK).state.architecture == left


def test_the_scores_are_what_they_say(data: TaggingData) -> None:
    """Of one hidden unit: its row of expand and its column of contract."""
    state = shaped(data)
    network = prunable(state)
    one = dataclasses.replace(few(data, 32))
    found = score(network, one.train, Pruning(), QUICK, CPU)
    expand, contract = (
        network.get_parameter(f"blocks.1.feedforward.{name}.weight") for name in ("expand", "contract")
    )
    assert expand.grad is not None
    assert contract.grad is not None
    expected = (expand * expand.grad).abs().sum(1) + (contract * contract.grad).abs().sum(0)
    torch.testing.assert_close(found.hidden[1], expected)
    assert [tuple(scores.shape) for scores in found.attention] == [(2, 4), (2, 4)]
    sizes = score(network, one.train, Pruning(importance="l1"), QUICK, CPU).hidden[1]
    size = expand.abs().sum(1) + contract.abs().sum(0)
    torch.testing.assert_close(sizes, (size / size.mean()).detach())


@pytest.mark.parametrize(
    ("pruning", "attention"),
    ((Pruning(0.5), [[0, 2, 3, 5], [0, 1, 3, 4]]), (Pruning(0.5, heads=True), [[3, 4, 5], [0, 1, 2]])),
)
def test_the_least_important_go(pruning: Pruning, attention: list[list[int]]) -> None:
    """Two heads of three dimensions; one dimension of each head stays, or one head."""
    shape = dataclasses.replace(SMALL, attention_dims=(6, 6), feedforward_dims=(4, 4), embed_dim=3, heads=2)
    scores = Scores(
        [torch.tensor([[1.0, 9, 1], [1, 2, 3]]), torch.tensor([[1.0, 1, 4], [1, 2, 6]])],
        [torch.tensor([4.0, 1, 3, 2]), torch.tensor([1.0, 2, 3, 4])],
        torch.tensor([1.0, 2, 3]),
    )
    cut = choose(shape, plan(shape, pruning), scores, pruning)
    assert cut.attention == attention
    assert cut.hidden == [[1, 3], [0, 1]]
    assert cut.residual == []


@pytest.mark.parametrize("whole", (True, False))
def test_units_that_do_nothing_can_go_without_a_trace(whole: bool, data: TaggingData) -> None:
    """Half of the channels are silenced; the network without them gives the same logits."""
    state = shaped(data, heads=2, embed_dim=8)
    network = prunable(state)
    silent = range(4, 8) if whole else (1, 2, 5, 6)
    for block, name in itertools.product(range(2), ("q", "k", "v")):
        network.get_parameter(f"blocks.{block}.attention.{name}.weight").data[list(silent)] = 0
    for block in range(2):
        network.get_parameter(f"blocks.{block}.feedforward.contract.weight").data[:, ::2] = 0
    how = Pruning(0.5, heads=whole)
    scores = score(network, data.train.head(300), how, QUICK, CPU)
    cut = choose(network.architecture, plan(network.architecture, how), scores, how)
    assert cut.attention == [list(silent)] * 2
    assert cut.hidden == [list(range(0, 16, 2))] * 2
    left = cut_out(network, cut, data.train)
    batch = example_batch(20, network.architecture)
    torch.testing.assert_close(left(*batch), network(*batch), rtol=1e-4, atol=1e-5)


def test_scores_of_attention_keep_their_size_in_narrower_heads() -> None:
    wide = dataclasses.replace(SMALL, attention_dims=(8, 6))
    narrow = JetFormer(dataclasses.replace(wide, attention_dims=(2, 6)))
    before = [block.attention.q.weight.clone() for block in narrow.each_block()]
    keep_scores(narrow, wide)
    after = [block.attention.q.weight for block in narrow.each_block()]
    torch.testing.assert_close(after, [before[0] / 2, before[1]])


def test_pruning_in_five_steps_keeps_what_was_learned(trained: State, data: TaggingData) -> None:
    before = (predict(trained.network, data.validation).argmax(1) == data.validation.labels.numpy()).mean()
    weights = {name: tensor.clone() for name, tensor in trained.network.state_dict().items()}
    result = prune(trained, data, recipe=Recipe(epochs=2, batch_size=64))
    assert flops(result.state.architecture) == 13_784
    assert result.state.architecture.attention_dims == (4, 4, 4, 4)
    assert result.validation_accuracy > before - 0.1
    assert [epoch.epoch for epoch in result.history] == list(range(1, 11))
    assert result.best in result.history[-2:]
    assert all(torch.equal(weights[name], tensor) for name, tensor in trained.network.state_dict().items())


@pytest.mark.parametrize("fatal", (1, 3, 4))
def test_killed_it_goes_on_after_the_last_whole_epoch_with_the_same_bits(
    fatal: int, trained: State, data: TaggingData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    some, recipe, how = few(data), Recipe(epochs=2, batch_size=64), Pruning(steps=2)
    undisturbed = prune(trained, some, how, recipe)
    calls, one_epoch = 0, training._one_epoch

    def counted(*arguments: Any) -> float:
        nonlocal calls
        calls += 1
        if calls == fatal:
            raise KeyboardInterrupt
        return one_epoch(*arguments)

    monkeypatch.setattr(training, "_one_epoch", counted)
    with pytest.raises(KeyboardInterrupt):
        prune(trained, some, how, recipe, Run(tmp_path / "kept"))
    resumed = prune(trained, some, how, recipe, Run(tmp_path / "kept"))
    assert calls == 5  # of the four epochs only one was begun twice
    assert resumed.history == undisturbed.history
    expected, found = undisturbed.state.network.state_dict(), resumed.state.network.state_dict()
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    with pytest.raises(CompressError, match="other settings"):
        prune(trained, some, Pruning(0.4, steps=2), recipe, Run(tmp_path / "kept"))


def test_the_last_step_may_be_tuned_for_longer(trained: State, data: TaggingData) -> None:
    result = prune(trained, few(data), Pruning(steps=2, last_epochs=3), Recipe(epochs=1, warm_up=0.3))
    assert len(result.history) == 1 + 3
    assert result.best in result.history[1:]


def test_other_networks_are_refused(data: TaggingData) -> None:
    inputs = Inputs(("pt",), ("GeV",), (0.0,), (1.0,), 0.0)
    other = State(build("deep-sets", inputs, constituents=8, classes=5), inputs, data.class_names)
    with pytest.raises(CompressError, match="only JetFormers can be pruned, and this is a deep-sets"):
        prunable(other)
