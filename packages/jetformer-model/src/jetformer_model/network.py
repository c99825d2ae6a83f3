"""JetFormer.

    tokens = [class_token, W_e x + b_e]                                    no positional encoding
    block:  h = Norm(x);  q, k, v = W_q h, W_k h, W_v h                    H heads of a / H
            x = x + W_o softmax(q k^T / sqrt(a / H)) v + b_o               over real tokens only
            x = x + W_2 act(Norm(W_1 act(Norm(x))))
    logits = W_h Norm(x[class token]) + b_h

Unlike the published code, padding takes part in nothing (masks: True = real constituent), and the last block computes the
class token alone, since nothing else is read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from jetformer_model.config import Activation, Architecture, Norm
from jetformer_model.norm import make_norm


def activate(kind: Activation, x: Tensor) -> Tensor:
    """ReLU or SiLU."""
    return functional.relu(x) if kind == "relu" else functional.silu(x)


class Attention(nn.Module):
    """Multi-head attention over real tokens, with its norm before and without its residual sum.

    `heads` heads of `attention_dim / heads`. The scale follows the present width of q, so it is right after pruning.
    """

    def __init__(self, embed_dim: int, attention_dim: int, heads: int, norm: Norm) -> None:
        super().__init__()
        self.heads = heads
        self.norm = make_norm(norm, embed_dim)
        self.q = nn.Linear(embed_dim, attention_dim, bias=False)
        self.k = nn.Linear(embed_dim, attention_dim, bias=False)
        self.v = nn.Linear(embed_dim, attention_dim, bias=False)
        self.output = nn.Linear(attention_dim, embed_dim)

    def forward(self, x: Tensor, mask: Tensor, queries: int) -> Tensor:
        """x [jets, tokens, d], mask [jets, tokens] -> [jets, queries, d] for the first `queries` tokens."""
        h = self.norm(x, mask)
        q, k, v = self._split(self.q(h[:, :queries])), self._split(self.k(h)), self._split(self.v(h))
        attended = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask[:, None, None, :])
        return self.output(attended.transpose(1, 2).flatten(2))

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)


class FeedForward(nn.Module):
    """W_2 act(Norm(W_1 act(Norm(x)))), without its residual sum."""

    def __init__(self, embed_dim: int, hidden_dim: int, norm: Norm, activation: Activation) -> None:
        super().__init__()
        self.activation = activation
        self.norm = make_norm(norm, embed_dim)
        self.expand = nn.Linear(embed_dim, hidden_dim, bias=False)
        self.expand_norm = make_norm(norm, hidden_dim)
        self.contract = nn.Linear(hidden_dim, embed_dim, bias=False)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """x [jets, tokens, d], mask [jets, tokens] -> [jets, tokens, d]."""
        hidden = self.expand(activate(self.activation, self.norm(x, mask)))
        return self.contract(activate(self.activation, self.expand_norm(hidden, mask)))


class Block(nn.Module):
    """Attention and feed-forward, each with a residual sum."""

    def __init__(self, attention: Attention, feedforward: FeedForward, dropout: float) -> None:
        super().__init__()
        self.attention = attention
        self.feedforward = feedforward
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor, queries: int) -> Tensor:
        """x [jets, tokens, d] -> the first `queries` tokens, [jets, queries, d]."""
        x = x[:, :queries] + self.attention(x, mask, queries)
        return self.dropout(x + self.feedforward(x, mask[:, :queries]))


class Head(nn.Module):
    """W_h Norm(class token) + b_h."""

    def __init__(self, embed_dim: int, classes: int, norm: Norm) -> None:
        super().__init__()
        self.norm = make_norm(norm, embed_dim)
        self.linear = nn.Linear(embed_dim, classes)

    def forward(self, token: Tensor) -> Tensor:
        """token [jets, d] -> logits [jets, classes]."""
        return self.linear(self.norm(token, token.new_ones(len(token), dtype=torch.bool)))


class JetFormer(nn.Module):
    """A JetFormer of the given architecture; see the module's formula."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        a = architecture
        self.architecture = a
        self.class_token = nn.Parameter(torch.randn(a.embed_dim) * a.embed_dim**-0.5)
        self.embedding = nn.Linear(a.features, a.embed_dim)
        self.blocks = nn.ModuleList(
            Block(
                Attention(a.embed_dim, attention_dim, a.heads, a.norm),
                FeedForward(a.embed_dim, hidden_dim, a.norm, a.activation),
                a.dropout,
            )
            for attention_dim, hidden_dim in zip(a.attention_dims, a.feedforward_dims, strict=True)
        )
        self.head = Head(a.embed_dim, a.classes, a.norm)

    def each_block(self) -> Iterator[Block]:
        """The blocks in order, typed."""
        yield from cast("Iterable[Block]", self.blocks)

    def forward(self, x: Tensor, mask: Tensor, *, every_token: bool = False) -> Tensor:
        """Logits of a padded batch.

        x: [jets, constituents, features], normalised; mask: [jets, constituents], True = real constituent.
        every_token: compute all tokens in the last block too, as the published FLOP convention counts; same logits.
        Returns [jets, classes].
        """
        tokens = torch.cat([self.class_token.expand(len(x), 1, -1), self.embedding(x)], dim=1)
        mask = functional.pad(mask, (1, 0), value=True)
        last = len(self.blocks) - 1
        for index, block in enumerate(self.blocks):
            queries = 1 if index == last and not every_token else tokens.shape[1]
            tokens = block(tokens, mask, queries)
        return self.head(tokens[:, 0])
