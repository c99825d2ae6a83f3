"""What the networks have in common: dense layers with their norms folded, sums and means over real constituents, softmax.

In firmware a batch norm costs nothing: after a layer, s (W x) + o is a layer of weights s W and bias o. Powers of two cost
nothing either, since they move into the weights that come next: `factor` in the functions below.

Padding holds zeros in the features alone: a bias makes it something else, so that it is gated away before every sum.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from jetformer_model.graph_builder import Node
from jetformer_model.norm import EPSILON, MaskedBatchNorm
from jetformer_model.one_bit import BitLinear
from jetformer_model.taggers.perceptron import Perceptron

OUTPUT = "logits"


def scale_and_shift(norm: nn.Module) -> tuple[Tensor, Tensor]:
    """(s, o), for which the norm in evaluation is s x + o."""
    norm = cast(MaskedBatchNorm, norm)
    scale = norm.weight * torch.rsqrt(norm.running_var + EPSILON)
    return scale, norm.bias - norm.running_mean * scale


def dense(x: Node, name: str, layers: Perceptron, *, factor: float | Tensor = 1.0, output: str = "") -> Node:
    """All layers, a number format after each; those of the last are called `output` where it is given.

    factor: what x has still to be multiplied with, a number or one a channel
    """
    last = len(layers.layers) - 1
    for index, layer in enumerate(layers.layers):
        weight, bias = cast(nn.Linear, layer).weight * (factor if index == 0 else 1.0), layer.bias
        if layers.norms is not None:
            scale, bias = scale_and_shift(layers.norms[index])
            weight = weight * scale[:, None]
        place = name if last == 0 else f"{name}.{index}"
        x = x.linear(place, weight, cast(Tensor, bias))
        x = x.relu() if index < layers.activated else x
        x = x.quantised(output if index == last and output else f"{place}.output")
    return x


def product(
    x: Node,
    name: str,
    layer: nn.Linear,
    bias: Tensor | None = None,
    rows: float | Tensor = 1.0,
    columns: float | Tensor = 1.0,
) -> Node:
    """diag(rows) W diag(columns) x + bias with the layer's matrix W, whose own bias is not used.

    A matrix of one bit stays one, and its scale is multiplied with the rows afterwards; it takes no columns.
    """
    rows = torch.as_tensor(rows).expand(layer.out_features)
    if not isinstance(layer, BitLinear):
        return x.linear(name, rows[:, None] * layer.weight * columns, bias)
    signs, beta = layer.binary()
    shifts_alone = layer.form.power_of_two and bool((rows == 1).all())
    scale = x.builder.constant if shifts_alone else x.builder.parameter
    made = x.linear(name, torch.where(signs, 1.0, -1.0), constant=True) * scale(f"{name}.scale", beta * rows)
    return made if bias is None else made + x.builder.parameter(f"{name}.shift", bias)


def normed(x: Node, name: str, scale: Tensor, shift: Tensor) -> Node:
    """scale x + shift as operations of their own, where no matrix can hold them."""
    return x * x.builder.parameter(f"{name}.scale", scale) + x.builder.parameter(f"{name}.shift", shift)


def real(x: Node) -> Node:
    """x [constituents, ...] with zeros for padding."""
    constituents, *others = x.shape
    return x.gated(x.builder.mask().reshape(constituents, *(1 for _ in others)))


def in_heads(x: Node, heads: int, keys: bool = False) -> Node:
    """[tokens, heads * n] -> [heads, tokens, n], or [heads, n, tokens] for keys."""
    tokens, width = x.shape
    split = x.reshape(tokens, heads, width // heads)
    return split.transpose(1, 2, 0) if keys else split.transpose(1, 0, 2)


def sum_over_constituents(x: Node, name: str) -> Node:
    """Over real ones: [constituents, channels] -> [channels]."""
    return real(x).sum(axis=0).quantised(name)


def mean_over_constituents(x: Node, name: str) -> Node:
    """Over real ones, 0 without any: the sum times a number from a table of 1 / n."""
    count = x.builder.mask().sum(axis=0, keep=True).quantised(f"{name}.count", along=())
    share = count.table(f"{name}.share", "reciprocal")
    return (sum_over_constituents(x, f"{name}.sum") * share).quantised(name)


def softmax(scores: Node, values: Node, mask: Node | None) -> Node:
    """softmax(scores) values, the softmax by two tables, over keys that the mask has; none without any.

    scores [heads, queries, keys], quantised; values [heads, keys, channels]; mask [keys] -> [heads, queries, channels]
    The reciprocal multiplies once, after the product with the values.
    """
    shape = (1, 1, scores.shape[-1])
    mask = mask.reshape(*shape) if mask else None
    distance = scores.maximum(axis=2, mask=mask, keep=True) - scores
    weights = distance.quantised("exponent", along=()).table("exp", "exp")
    weights = weights.gated(mask) if mask else weights
    reciprocal = weights.sum(axis=2, keep=True).quantised("sum", along=()).table("reciprocal", "reciprocal")
    weighted = (weights @ values).quantised("weighted", along=(0, 2))
    return (weighted * reciprocal).quantised("attended", along=(0, 2))
