"""JetFormer for triggers: one or two blocks, attention without softmax, norms that fold, and no sum that grows with depth.

    x_i = ReLU(Norm(W_e f_i))
    block:  a_i = Attention(x)_i                          see `trigger_attention.py`
            x_i = ReLU(Norm(W x_i + U a_i))
    logits = MLP(pool(x))

queries = "constituents": a_i of each constituent; "class_token": one constant query, so that a_i = a is one vector of the
jet and U a is computed once. With all its weights equal this block would be JEDI-linear's sum over all constituents; what
attention adds are products of features, moments of the jet that a sum of ReLUs must approximate.

pooling = "class_token": class attention once more, sum_i w_i x_i; "sum": c sum_i x_i; "mean": over real constituents.

There is no residual sum: it would be the widest number of the network, and one or two blocks train without.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, get_args

from torch import Tensor, nn
from torch.nn import functional

from jetformer_model.errors import ModelError
from jetformer_model.norm import MaskedBatchNorm
from jetformer_model.taggers.perceptron import Perceptron
from jetformer_model.taggers.tagger import Tagger, each, in_slots, mean_over_constituents, without_padding
from jetformer_model.taggers.trigger_attention import Attention, ClassAttention, ConstituentAttention, Kind

Queries = Literal["constituents", "class_token"]
Pooling = Literal["class_token", "sum", "mean"]


class TriggerBlock(nn.Module):
    """x_i = ReLU(Norm(W x_i + U Attention(x)_i)), with d channels in and out."""

    def __init__(self, attention: Attention, embed_dim: int) -> None:
        super().__init__()
        self.attention = attention
        self.own = nn.Linear(embed_dim, embed_dim, bias=False)
        self.attended = nn.Linear(attention.width, embed_dim, bias=False)
        self.norm = MaskedBatchNorm(embed_dim)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """x [jets, constituents, d], mask True = real -> the same shape."""
        return functional.relu(self.norm(self.own(x) + self.attended(self.attention(x, mask)), mask))

    def flops(self) -> int:
        """P d (d + 2), the attention, and d a for each of its queries."""
        p, d = self.attention.constituents, self.own.in_features
        queries = 1 if isinstance(self.attention, ClassAttention) else p
        return p * d * (d + 2) + self.attention.flops() + queries * d * self.attention.width


class TriggerJetFormer(Tagger):
    """See the module's formula.

    blocks, embed_dim: L and d
    attention: "softmax", "relu", "linear" or "linformer"; queries, pooling: as above
    heads: of each attention; of a class token, each has its share of the d channels
    key_dim, value_dim: channels of keys and values in a head, of queries of constituents
    head_widths: of the hidden layers after the pooling
    """

    def __init__(
        self,
        constituents: int,
        features: int,
        classes: int,
        *,
        blocks: int = 1,
        embed_dim: int = 32,
        attention: Kind = "softmax",
        queries: Queries = "class_token",
        pooling: Pooling = "sum",
        heads: int = 8,
        key_dim: int = 4,
        value_dim: int = 4,
        head_widths: Sequence[int] = (32, 16),
    ) -> None:
        super().__init__(constituents, features, classes)
        _check(queries, Queries, "queries")
        _check(pooling, Pooling, "pooling")
        d, p = embed_dim, constituents
        self.pooling, self.by_place = pooling, attention == "linformer"
        self.embedding = Perceptron(features, (d,), norm=True)

        def of_class_token() -> Attention:
            return ClassAttention(d, p, attention, heads)

        def of_constituents() -> Attention:
            return ConstituentAttention(d, p, attention, heads, key_dim, value_dim)

        attend = of_class_token if queries == "class_token" else of_constituents
        self.blocks = nn.ModuleList(TriggerBlock(attend(), d) for _ in range(blocks))
        self.pool = of_class_token() if pooling == "class_token" else None
        pooled = self.pool.width if self.pool else d
        self.scale = 2.0 ** -round(math.log2(p))
        self.head = Perceptron(pooled, (*head_widths, classes), activate_last=False, norm=True)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        if self.by_place:
            x, mask = in_slots(x, mask, self.constituents)
        x = without_padding(x, mask)
        x = self.embedding(x, mask)
        for block in self.blocks:
            x = block(x, mask)
        return self.head(self._pooled(x, mask))

    def _pooled(self, x: Tensor, mask: Tensor) -> Tensor:
        if self.pool is not None:
            return self.pool(x, mask).squeeze(1)
        if self.pooling == "mean":
            return mean_over_constituents(x, mask)
        return without_padding(x, mask).sum(1) * self.scale

    def flops(self) -> int:
        """P times the embedding, the blocks, the pooling, and the head."""
        blocks = sum(block.flops() for block in each(self.blocks, TriggerBlock))
        pool = self.pool.flops() if self.pool else 0
        return self.embedding.flops(self.constituents) + blocks + pool + self.head.flops()


def _check(value: str, choices: object, name: str) -> None:
    if value not in get_args(choices):
        raise ModelError(f"{name} {value!r}: expected one of {', '.join(get_args(choices))}")
