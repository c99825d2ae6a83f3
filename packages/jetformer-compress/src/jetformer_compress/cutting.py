"""Which units go, and the network without them."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch_pruning
from torch import Tensor, nn

from jetformer_compress.importance import Scores, dependencies
from jetformer_compress.pruning_plan import Pruning
from jetformer_model.config import Architecture
from jetformer_model.dataset import Dataset
from jetformer_model.network import JetFormer


@dataclass(frozen=True)
class Cut:
    """The channels that go: of q, k, v and of the hidden layer in each block, and of the residual stream."""

    attention: list[list[int]]
    hidden: list[list[int]]
    residual: list[int]
    architecture: Architecture


def choose(architecture: Architecture, after: Architecture, scores: Scores, pruning: Pruning) -> Cut:
    """The least important units, as many as lie between the two architectures; with the scope "global", as many of all
    blocks together, but never the last of a layer."""
    dims = [width // architecture.heads for width in architecture.attention_dims]
    if pruning.heads:
        # Architecture has one number of heads for all blocks
        went = [_least(score.sum(1), architecture.heads - after.heads) for score in scores.attention]
        attention = [_channels(heads, dim, whole=True) for heads, dim in zip(went, dims, strict=True)]
    else:
        left = [width // after.heads for width in after.attention_dims]
        went = _least_of_all([score.sum(0) for score in scores.attention], left, pruning)
        attention = [
            _channels(ds, dim, whole=False, heads=architecture.heads)
            for ds, dim in zip(went, dims, strict=True)
        ]
    hidden = _least_of_all(scores.hidden, after.feedforward_dims, pruning)
    residual = _least(scores.residual, architecture.embed_dim - after.embed_dim)
    left_over = dataclasses.replace(
        after,
        attention_dims=_less(architecture.attention_dims, attention),
        feedforward_dims=_less(architecture.feedforward_dims, hidden),
    )
    return Cut(attention, hidden, residual, left_over)


def cut_out(network: JetFormer, cut: Cut, data: Dataset) -> JetFormer:
    """A new network without these channels, as exact as can be without training: the attention's scores keep their size,
    although their scale 1 / sqrt(dimension of a head) changes."""
    left = copy.deepcopy(network).cpu().eval()
    graph = dependencies(left, data)

    def remove(layer: nn.Linear, channels: list[int]) -> None:
        if channels:
            graph.get_pruning_group(layer, torch_pruning.prune_linear_out_channels, channels).prune()

    for block, attention, hidden in zip(left.each_block(), cut.attention, cut.hidden, strict=True):
        remove(block.attention.q, attention)
        remove(block.feedforward.expand, hidden)
    remove(left.embedding, cut.residual)
    new = JetFormer(cut.architecture)
    new.load_state_dict(left.state_dict())
    keep_scores(new, network.architecture)
    return new.eval()


@torch.no_grad()
def keep_scores(network: JetFormer, before: Architecture) -> None:
    """q takes the change of the scale 1 / sqrt(dimension of a head), so that scores stay as they were."""
    after = network.architecture
    for block, old, new in zip(
        network.each_block(), before.attention_dims, after.attention_dims, strict=True
    ):
        block.attention.q.weight *= ((new / after.heads) / (old / before.heads)) ** 0.5


def _least(scores: Tensor, number: int) -> list[int]:
    return sorted(scores.argsort(stable=True)[:number].tolist())


def _least_of_all(scores: Sequence[Tensor], left: Sequence[int], pruning: Pruning) -> list[list[int]]:
    """For each layer the units that go, if `left` of each layer, or sum(left) of all, stay."""
    if pruning.scope == "layer":
        return [_least(score, len(score) - stay) for score, stay in zip(scores, left, strict=True)]
    kept = [score.clone() for score in scores]
    for score in kept:
        score[score.argmax()] = torch.inf  # one of each layer stays
    layers = torch.cat([torch.full((len(score),), layer) for layer, score in enumerate(kept)])
    units = torch.cat([torch.arange(len(score)) for score in kept])
    go = torch.cat(kept).argsort(stable=True)[: len(units) - sum(left)]
    return [sorted(units[go[layers[go] == layer]].tolist()) for layer in range(len(kept))]


def _channels(chosen: Sequence[int], dim: int, *, whole: bool, heads: int = 0) -> list[int]:
    """Rows of q, k, v, which lie head by head: those of whole heads, or the same dimensions of each head."""
    if whole:
        return [head * dim + inside for head in chosen for inside in range(dim)]
    return [head * dim + inside for head in range(heads) for inside in chosen]


def _less(widths: Sequence[int], gone: Sequence[Sequence[int]]) -> tuple[int, ...]:
    return tuple(width - len(channels) for width, channels in zip(widths, gone, strict=True))
