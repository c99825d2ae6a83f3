"""How much each prunable unit of a JetFormer matters, by torch-pruning's dependency graph and importances.

A unit is what can only be removed as a whole: a hidden dimension with its row of `expand`, its entries of the norm and its
column of `contract`; a dimension of a head with rows of q, k, v and a column of `output`; a dimension of the residual stream
with all that reads or writes it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch_pruning
from torch import Tensor, nn
from torch.nn import functional

from jetformer_compress.pruning_plan import Pruning
from jetformer_model.dataset import Dataset
from jetformer_model.network import JetFormer
from jetformer_model.norm import MaskedBatchNorm
from jetformer_model.training import Recipe

IMPORTANCE_BATCHES = 50


@dataclass(frozen=True)
class Scores:
    """The importance of each unit.

    attention: for each block [heads, dimensions of a head]
    hidden: for each block [hidden dimensions]
    residual: [d]
    """

    attention: list[Tensor]
    hidden: list[Tensor]
    residual: Tensor


def score(
    network: JetFormer, data: Dataset, pruning: Pruning, recipe: Recipe, device: torch.device
) -> Scores:
    """Scores of all units; "taylor" takes gradients of up to 50 training batches. The network ends on the CPU."""
    network.zero_grad()
    if pruning.importance == "taylor":
        _accumulate_gradients(network.to(device), data, recipe, device)
    network.cpu()
    graph = dependencies(network, data)
    measure = _measure(pruning)

    def of(layer: nn.Linear) -> Tensor:
        everything = list(range(layer.out_features))
        group = graph.get_pruning_group(layer, torch_pruning.prune_linear_out_channels, everything)
        found: Tensor = measure(group)
        return found

    blocks = list(network.each_block())
    return Scores(
        [of(block.attention.q).unflatten(0, (block.attention.heads, -1)) for block in blocks],
        [of(block.feedforward.expand) for block in blocks],
        of(network.embedding),
    )


def dependencies(network: JetFormer, data: Dataset) -> torch_pruning.DependencyGraph:
    """What must be cut together, found by following two jets through the network."""
    with torch.enable_grad():  # which the graph is read from
        return torch_pruning.DependencyGraph().build_dependency(
            network,
            example_inputs=(data.x[:2].cpu(), data.mask[:2].cpu()),
            unwrapped_parameters=[(network.class_token, 0)],
            customized_pruners={MaskedBatchNorm: _MaskedBatchNormPruner()},
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


def _measure(pruning: Pruning) -> torch_pruning.importance.Importance:
    """Changes of the loss add up and compare over layers as they are; sizes of weights only relative to their layer."""
    if pruning.importance == "taylor":
        return torch_pruning.importance.GroupTaylorImportance(
            group_reduction="sum", normalizer=None, target_types=[nn.Linear]
        )
    return torch_pruning.importance.GroupMagnitudeImportance(
        p=1 if pruning.importance == "l1" else 2, normalizer="mean", target_types=[nn.Linear]
    )


def _accumulate_gradients(network: JetFormer, data: Dataset, recipe: Recipe, device: torch.device) -> None:
    network.eval()
    generator = torch.Generator().manual_seed(recipe.seed)
    batches = data.batches(recipe.batch_size, generator)
    for _, (x, mask, labels) in zip(range(IMPORTANCE_BATCHES), batches, strict=False):
        logits = network(x.to(device), mask.to(device))
        functional.cross_entropy(logits, labels.to(device)).backward()
