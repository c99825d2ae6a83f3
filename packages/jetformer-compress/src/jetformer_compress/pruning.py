"""Structured pruning on torch-pruning: fewer dimensions in each head and in each hidden feed-forward layer.

In each step the channels go whose removal changes the loss least to first order (Taylor: |weight x gradient|), the same
dimensions of every head, and the network is fine-tuned. The residual stream keeps its width. The published recipe: ratio 0.5
in 5 steps of 5 epochs.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterable
from pathlib import Path

import torch
import torch_pruning
from torch import nn
from torch.nn import functional

from jetformer_compress.errors import CompressError
from jetformer_model.config import Architecture
from jetformer_model.dataset import Dataset, TaggingData
from jetformer_model.network import JetFormer
from jetformer_model.norm import MaskedBatchNorm
from jetformer_model.state import State
from jetformer_model.training import Epoch, Recipe, TrainingResult, fit

IMPORTANCE_BATCHES = 50
RECIPE = Recipe(epochs=5, warm_up=0.3)


def plan(architecture: Architecture, ratio: float) -> Architecture:
    """The architecture that `prune` arrives at: q, k, v and hidden widths less `ratio`, heads kept alike and not empty.

    Raises CompressError if the ratio is not inside (0, 1) or leaves nothing to prune or nothing after it.
    """
    if not 0 < ratio < 1:
        raise CompressError(f"pruning ratio: expected a number between 0 and 1, got {ratio}")
    heads = architecture.heads
    attention = tuple(heads * int(a // heads * (1 - ratio)) for a in architecture.attention_dims)
    feedforward = tuple(int(m * (1 - ratio)) for m in architecture.feedforward_dims)
    unchanged = attention == architecture.attention_dims and feedforward == architecture.feedforward_dims
    if unchanged or min(attention) < heads or min(feedforward) < 1:
        raise CompressError(
            f"pruning ratio {ratio}: heads of {architecture.attention_dims[0] // heads} dimensions and hidden layers of "
            f"{architecture.feedforward_dims[0]} cannot be cut so; try a ratio nearer 0.5"
        )
    return dataclasses.replace(architecture, attention_dims=attention, feedforward_dims=feedforward)


def prune(
    state: State,
    data: TaggingData,
    ratio: float = 0.5,
    steps: int = 5,
    recipe: Recipe = RECIPE,
    *,
    checkpoint: Path | None = None,
    progress: bool = False,
) -> TrainingResult:
    """Prune a float state in `steps` steps with fine-tuning after each; the given state is left as it is.

    The history holds the epochs of all steps, the best epoch is one of the last step. Only training and validation jets are
    used.
    checkpoint: name of files, one a step (its number is added), that are written after each epoch and taken up if they are
    there; the caller removes them in the end.
    """
    if steps < 1:
        raise CompressError(f"pruning steps: expected at least 1, got {steps}")
    if state.kind == "fixed_point":
        raise CompressError("a fixed-point network cannot be pruned; prune the float state, then quantise it")
    target = plan(state.architecture, ratio)
    assert isinstance(state.network, JetFormer)
    network = copy.deepcopy(state.network).eval()
    pruner = _pruner(network, data.train, ratio, steps)
    history: list[Epoch] = []
    for step in range(1, steps + 1):
        _accumulate_gradients(network, data.train, recipe)
        widths_before = _query_widths(network)
        pruner.step()
        _keep_scores(network, widths_before)
        title = f"pruning step {step}/{steps}"
        # a step that is run again finds its finished epochs here, since all that leads to it is deterministic
        kept = checkpoint and checkpoint.with_name(f"{checkpoint.name}{step}")
        epochs, best = fit(
            network, data.train, data.validation, recipe, checkpoint=kept, progress=progress, title=title
        )
        history += [dataclasses.replace(epoch, epoch=len(history) + epoch.epoch) for epoch in epochs]
    pruned = JetFormer(target)
    pruned.load_state_dict(network.state_dict())
    return TrainingResult(
        dataclasses.replace(state, network=pruned.eval(), metrics=best.metrics), tuple(history), best
    )


class _MaskedBatchNormPruner(torch_pruning.BasePruningFunc):
    """Tells torch-pruning how a masked batch norm loses channels."""

    def prune_out_channels(self, layer: MaskedBatchNorm, idxs: list[int]) -> nn.Module:
        kept = sorted(set(range(len(layer.weight))) - set(idxs))
        for name in ("weight", "bias"):
            setattr(layer, name, nn.Parameter(getattr(layer, name).detach()[kept]))
        layer.running_mean, layer.running_var = layer.running_mean[kept], layer.running_var[kept]
        return layer

    prune_in_channels = prune_out_channels

    def get_out_channels(self, layer: MaskedBatchNorm) -> int:
        return len(layer.weight)

    get_in_channels = get_out_channels


def _pruner(network: JetFormer, data: Dataset, ratio: float, steps: int) -> torch_pruning.pruner.BasePruner:
    blocks = list(network.each_block())
    residual_stream = [network.embedding, network.head.linear]
    residual_stream += [
        layer for block in blocks for layer in (block.attention.output, block.feedforward.contract)
    ]
    heads = {
        layer: block.attention.heads
        for block in blocks
        for layer in (block.attention.q, block.attention.k, block.attention.v)
    }
    return torch_pruning.pruner.BasePruner(
        network,
        (data.x[:2], data.mask[:2]),
        importance=torch_pruning.importance.GroupTaylorImportance(),
        pruning_ratio=ratio,
        iterative_steps=steps,
        ignored_layers=residual_stream,
        num_heads=heads,
        prune_head_dims=True,
        prune_num_heads=False,
        customized_pruners={MaskedBatchNorm: _MaskedBatchNormPruner()},
        root_module_types=[nn.Linear],
        unwrapped_parameters=[(network.class_token, 0)],
    )


def _accumulate_gradients(network: JetFormer, data: Dataset, recipe: Recipe) -> None:
    network.zero_grad()
    generator = torch.Generator().manual_seed(recipe.seed)
    for _, (x, mask, labels) in zip(
        range(IMPORTANCE_BATCHES), data.batches(recipe.batch_size, generator), strict=False
    ):
        functional.cross_entropy(network(x, mask), labels).backward()


def _query_widths(network: JetFormer) -> list[int]:
    return [block.attention.q.out_features for block in network.each_block()]


@torch.no_grad()
def _keep_scores(network: JetFormer, widths_before: Iterable[int]) -> None:
    """The scale 1 / sqrt(head dimension) follows the new width; q takes the difference, so that scores stay as they were."""
    for block, before in zip(network.each_block(), widths_before, strict=True):
        block.attention.q.weight *= (block.attention.q.out_features / before) ** 0.5
