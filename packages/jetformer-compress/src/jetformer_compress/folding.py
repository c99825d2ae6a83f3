"""Norms folded as the hardware folds them, so that the network that is trained in fixed point is the one that is built.

A batch norm in evaluation is s x + o with s = weight / sqrt(var + 1e-5) and o = bias - mean s. Before a matrix it becomes
part of that matrix and of its bias. Before a ReLU, ReLU(s x + o) = |s| ReLU(sign(s) x + o / |s|), and |s| goes into the
matrix after.
"""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor, nn

from jetformer_compress.errors import CompressError
from jetformer_model.fixed_point import (
    FixedPointAttention,
    FixedPointFeedForward,
    FixedPointJetFormer,
    FixedPointLinear,
)
from jetformer_model.network import Attention, FeedForward, JetFormer
from jetformer_model.norm import EPSILON, MaskedBatchNorm

# A channel whose scale is smaller counts as constant: its offset divided by the scale would leave every number format.
SMALLEST_SCALE = 1e-4


@torch.no_grad()
def fold(network: JetFormer) -> FixedPointJetFormer:
    """The same function without norms, its number formats still unset (so it computes in floating point).

    Raises CompressError for layer norm, whose statistics depend on the jet, and for an activation other than ReLU.
    """
    architecture = network.architecture
    if architecture.norm != "batch" or architecture.activation != "relu":
        raise CompressError(
            f"a network with {architecture.norm} norm and {architecture.activation} cannot be folded; "
            "retrain it with: jetformer-model train --norm batch --activation relu"
        )
    folded = FixedPointJetFormer(dataclasses.replace(architecture, norm="folded", dropout=0.0))
    folded.class_token.copy_(network.class_token)
    _set(folded.embedding, network.embedding.weight, network.embedding.bias)
    for block, target in zip(network.each_block(), folded.each_block(), strict=True):
        _fold_attention(block.attention, target.attention)
        _fold_feedforward(block.feedforward, target.feedforward)
    scale, offset = _affine(network.head.norm)
    linear = network.head.linear
    _set(folded.head, linear.weight * scale, linear.bias + linear.weight @ offset)
    return folded.eval()


def _fold_attention(source: Attention, target: FixedPointAttention) -> None:
    scale, offset = _affine(source.norm)
    head_dim = source.q.out_features // source.heads
    layers = ((source.q, target.q, head_dim**-0.5), (source.k, target.k, 1.0), (source.v, target.v, 1.0))
    for linear, folded, factor in layers:
        weight = linear.weight * factor
        _set(folded, weight * scale, weight @ offset)
    _set(target.output, source.output.weight, source.output.bias)


def _fold_feedforward(source: FeedForward, target: FixedPointFeedForward) -> None:
    scale, offset = _affine(source.norm)
    size = scale.abs().clamp(min=SMALLEST_SCALE)
    target.sign.copy_(torch.where(scale < 0, -1.0, 1.0))
    target.offset.copy_(offset / size)
    hidden_scale, hidden_offset = _affine(source.expand_norm)
    _set(target.expand, hidden_scale[:, None] * source.expand.weight * size, hidden_offset)
    _set(target.contract, source.contract.weight, None)


def _affine(norm: nn.Module) -> tuple[Tensor, Tensor]:
    assert isinstance(norm, MaskedBatchNorm)
    scale = norm.weight * torch.rsqrt(norm.running_var + EPSILON)
    return scale, norm.bias - norm.running_mean * scale


def _set(linear: FixedPointLinear, weight: Tensor, bias: Tensor | None) -> None:
    linear.weight.copy_(weight)
    if bias is not None:
        assert linear.bias is not None
        linear.bias.copy_(bias)
