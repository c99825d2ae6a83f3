"""Norms folded as the hardware folds them, so that the network that is trained in fixed point is the one that is built.

A batch norm in evaluation is s x + o with s = weight / sqrt(var + 1e-5) and o = bias - mean s. Before a matrix it becomes part of that
matrix and of its bias. Before a ReLU, ReLU(s x + o) = |s| ReLU(sign(s) x + o / |s|), and |s| goes into the matrix after.
"""

from __future__ import annotations

import dataclasses

import torch
from jetformer_model.fixed_point import FixedPointJetFormer, FixedPointLinear
from jetformer_model.network import Block, JetFormer
from jetformer_model.norm import EPSILON, MaskedBatchNorm
from torch import Tensor, nn

from jetformer_compress.errors import CompressError

# A channel whose scale is smaller than this counts as constant; dividing its offset by the scale would leave every number format.
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
    for block, target in zip(network.blocks, folded.blocks, strict=True):
        assert isinstance(block, Block)
        _fold_attention(block, target.attention)  # type: ignore[arg-type]
        _fold_feedforward(block, target.feedforward)  # type: ignore[arg-type]
    scale, offset = _affine(network.head.norm)
    linear = network.head.linear
    _set(folded.head, linear.weight * scale, linear.bias + linear.weight @ offset)
    return folded.eval()


def _fold_attention(block: Block, target: nn.Module) -> None:
    source = block.attention
    scale, offset = _affine(source.norm)
    head_dim = source.q.out_features // source.heads
    for name, factor in (("q", head_dim**-0.5), ("k", 1.0), ("v", 1.0)):
        weight = getattr(source, name).weight * factor
        _set(getattr(target, name), weight * scale, weight @ offset)
    _set(target.output, source.output.weight, source.output.bias)  # type: ignore[arg-type]


def _fold_feedforward(block: Block, target: nn.Module) -> None:
    source = block.feedforward
    scale, offset = _affine(source.norm)
    size = scale.abs().clamp(min=SMALLEST_SCALE)
    target.sign.copy_(torch.where(scale < 0, -1.0, 1.0))  # type: ignore[operator,union-attr]
    target.offset.copy_(offset / size)  # type: ignore[operator,union-attr]
    hidden_scale, hidden_offset = _affine(source.expand_norm)
    _set(target.expand, hidden_scale[:, None] * source.expand.weight * size, hidden_offset)  # type: ignore[arg-type]
    _set(target.contract, source.contract.weight, None)  # type: ignore[arg-type]


def _affine(norm: nn.Module) -> tuple[Tensor, Tensor]:
    assert isinstance(norm, MaskedBatchNorm)
    scale = norm.weight * torch.rsqrt(norm.running_var + EPSILON)
    return scale, norm.bias - norm.running_mean * scale


def _set(linear: FixedPointLinear, weight: Tensor, bias: Tensor | None) -> None:
    linear.weight.copy_(weight)
    if bias is not None:
        assert linear.bias is not None
        linear.bias.copy_(bias)
