"""JetFormers for triggers as graphs of exact operations; the formulae stand in `jetformer_model.taggers.trigger_attention`.

The power of two before each sum is part of the weights that come after it.
"""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from jetformer_compress.lowering.layers import (
    OUTPUT,
    dense,
    in_heads,
    mean_over_constituents,
    real,
    scale_and_shift,
    softmax,
    sum_over_constituents,
)
from jetformer_model.graph_builder import Node
from jetformer_model.taggers.perceptron import Perceptron
from jetformer_model.taggers.trigger_attention import Attention, ClassAttention, ConstituentAttention
from jetformer_model.taggers.trigger_jetformer import TriggerBlock, TriggerJetFormer


def trigger_jetformer(network: TriggerJetFormer, x: Node) -> None:
    """Embedding, blocks, pooling, head."""
    x = dense(x, "embedding", network.embedding)
    for index, block in enumerate(network.blocks):
        with x.builder.scope(f"blocks.{index}"):
            x = _block(cast(TriggerBlock, block), x)
    pooled, factor = _pooled(network, x)
    dense(pooled, "head", network.head, factor=factor, output=OUTPUT)


def _block(block: TriggerBlock, x: Node) -> Node:
    """s (W x + U c a) + o: the norm goes into both matrices, c into the second."""
    with x.builder.scope("attention"):
        attended = _attended(block.attention, x)
    scale, shift = scale_and_shift(block.norm)
    own = x.linear("own", block.own.weight * scale[:, None], shift)
    weight = block.attended.weight * scale[:, None] * _factor(block.attention)
    return (own + attended.linear("attended", weight)).relu().quantised("output")


def _pooled(network: TriggerJetFormer, x: Node) -> tuple[Node, float]:
    """[channels], and what it has still to be multiplied with."""
    if network.pool is not None:
        with x.builder.scope("pool"):
            return _attended(network.pool, x).reshape(network.pool.width), _factor(network.pool)
    if network.pooling == "mean":
        return mean_over_constituents(x, "pooled"), 1.0
    return sum_over_constituents(x, "pooled"), network.scale


def _factor(attention: Attention) -> float:
    return attention.scale if attention.kind in ("relu", "linear") else 1.0


def _attended(attention: Attention, x: Node) -> Node:
    """[queries, heads * value_dim], before the factor."""
    of_head = (
        _class_attention(attention, x)
        if isinstance(attention, ClassAttention)
        else _constituent_attention(cast(ConstituentAttention, attention), x)
    )
    return of_head.transpose(1, 0, 2).reshape(of_head.shape[1], attention.width)


def _class_attention(attention: ClassAttention, x: Node) -> Node:
    """One query: [heads, 1, value_dim]."""
    scores = x.linear("score", *_folded(attention.score))
    scores = scores.relu() if attention.kind == "relu" else scores
    scores = scores.quantised("weight" if attention.kind in ("relu", "linear") else "score.output")
    if attention.kind in ("relu", "linear"):  # a head's one weight is gated, rather than its values
        weights = in_heads(real(scores), attention.heads, keys=True)
        return (weights @ in_heads(x, attention.heads)).quantised("output", along=(0, 2))
    if attention.kind == "softmax":
        scores = in_heads(scores, attention.heads, keys=True)
        return softmax(scores, in_heads(x, attention.heads), x.builder.mask())
    keys = in_heads(real(scores), attention.heads, keys=True)
    scores = keys.linear("project_keys", attention.project_keys.weight).quantised("mixed_score", along=(0,))
    return softmax(scores, _mixtures(attention, x), None)


def _constituent_attention(attention: ConstituentAttention, x: Node) -> Node:
    """A query a constituent: [heads, constituents, value_dim]."""
    heads = attention.heads
    head_dim = attention.query.widths[-1] // heads
    weight, bias = (part * head_dim**-0.5 for part in _folded(attention.query))
    q = x.linear("query", weight, bias).quantised("query.output")
    k, v = dense(x, "key", attention.key), dense(x, "value", attention.value)
    q = in_heads(q, heads)
    if attention.kind == "linear":
        memory = (in_heads(real(k), heads, keys=True) @ in_heads(v, heads)).quantised(
            "memory", along=(0, 1, 2)
        )
        return (q @ memory).quantised("output", along=(0, 2))
    if attention.kind == "linformer":
        keys = in_heads(real(k), heads, keys=True).linear("project_keys", attention.project_keys.weight)
        keys = keys.quantised("mixed_key", along=(0, 1))
        return softmax((q @ keys).quantised("score", along=(0,)), _mixtures(attention, v), None)
    if attention.kind == "relu":
        scores = (q @ in_heads(real(k), heads, keys=True)).relu().quantised("weight", along=(0,))
        return (scores @ in_heads(v, heads)).quantised("output", along=(0, 2))
    scores = (q @ in_heads(k, heads, keys=True)).quantised("score", along=(0,))
    return softmax(scores, in_heads(v, heads), x.builder.mask())


def _folded(layers: Perceptron) -> tuple[Tensor, Tensor]:
    """Weight and bias of a single layer with its norm."""
    scale, shift = scale_and_shift(cast(nn.ModuleList, layers.norms)[0])
    return cast(Tensor, layers.layers[0].weight) * scale[:, None], shift


def _mixtures(attention: Attention, values: Node) -> Node:
    """Values of real constituents, mixed by a constant matrix: [heads, rank, value_dim]."""
    mixed = in_heads(real(values), attention.heads, keys=True)
    mixed = mixed.linear("project_values", attention.project_values.weight).quantised(
        "mixed_value", along=(0, 1)
    )
    return mixed.transpose(0, 2, 1)
