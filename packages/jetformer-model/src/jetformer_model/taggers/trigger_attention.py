"""Attention made for firmware: few products of two variables, since constant matrices cost adders alone.

Of a head, with weights w_ij for query i and constituent j:

    o_i = sum_j w_ij v_j
    softmax     w_ij = softmax_j(s_ij)                   tables for exp and 1 / x
    relu        w_ij = c ReLU(s_ij)                      no table; c = 2^-round(log2 P) costs nothing
    linear      w_ij = c s_ij                            o_i = q_i^T (c sum_j k_j v_j^T): no product of N x N
    linformer   softmax over r mixtures E k, F v of constituents in place of the constituents

Queries of the constituents: s_ij = q_i . k_j / sqrt(key_dim). A class token that is a constant has a constant query, so that
its scores s_j = q . k_j = w . x_j + b are rows of a constant matrix, and w_j x_j are the only products of variables.

Sources: linear attention, A. Katharopoulos et al., "Transformers are RNNs", arXiv:2006.16236; ReLU, M. Wortsman et al.,
"Replacing softmax with ReLU in Vision Transformers", arXiv:2309.08586; S. Wang et al., "Linformer", arXiv:2006.04768; class
attention, H. Touvron et al., "Going deeper with Image Transformers", arXiv:2103.17239.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

from jetformer_model.errors import ModelError
from jetformer_model.taggers.perceptron import Perceptron
from jetformer_model.taggers.tagger import without_padding

Kind = Literal["softmax", "relu", "linear", "linformer"]
RANK = 4  # mixtures of constituents that a Linformer attends to


class Attention(nn.Module, ABC):
    """What attention of constituents and of a class token have in common: heads, weights, sums.

    kind: see the module's table; `heads` heads of `value_dim`, for jets of `constituents`
    """

    def __init__(self, constituents: int, kind: Kind, heads: int, value_dim: int) -> None:
        super().__init__()
        if kind not in get_args(Kind):
            raise ModelError(f"attention {kind!r}: expected one of {', '.join(get_args(Kind))}")
        self.constituents, self.kind = constituents, kind
        self.heads, self.value_dim = heads, value_dim
        self.scale = 2.0 ** -round(math.log2(constituents))
        if kind == "linformer":
            self.project_keys = nn.Linear(constituents, RANK, bias=False)
            self.project_values = nn.Linear(constituents, RANK, bias=False)

    @property
    def width(self) -> int:
        """Channels of the output."""
        return self.heads * self.value_dim

    @abstractmethod
    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """x [jets, constituents, channels], mask True = real -> [jets, queries, heads * value_dim]."""

    @abstractmethod
    def flops(self) -> int:
        """Of one full jet."""

    def weights(self, scores: Tensor, mask: Tensor) -> Tensor:
        """scores [jets, heads, queries, keys] -> weights; those of padding are left to the values, which are zero there."""
        if self.kind == "relu":
            return functional.relu(scores) * self.scale
        if self.kind == "linear":
            return scores * self.scale
        if self.kind == "softmax":
            scores = scores.masked_fill(~mask[:, None, None], torch.finfo(scores.dtype).min)
        return torch.softmax(scores, -1)

    def in_heads(self, x: Tensor, mask: Tensor) -> Tensor:
        """[jets, constituents, heads * n] -> [jets, heads, constituents, n], zeros for padding."""
        return without_padding(x, mask).unflatten(-1, (self.heads, -1)).transpose(1, 2)


class ConstituentAttention(Attention):
    """Each constituent asks. `key_dim`: channels of query and key in a head."""

    def __init__(
        self, channels: int, constituents: int, kind: Kind, heads: int, key_dim: int, value_dim: int
    ) -> None:
        super().__init__(constituents, kind, heads, value_dim)
        keys = heads * key_dim
        self.query, self.key = (_normed(channels, keys) for _ in range(2))
        self.value = _normed(channels, self.width)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        q, k, v = (self.in_heads(layer(x, mask), mask) for layer in (self.query, self.key, self.value))
        q = q * q.shape[-1] ** -0.5
        if self.kind == "linformer":
            k = self.project_keys(k.transpose(2, 3)).transpose(2, 3)
            v = self.project_values(v.transpose(2, 3)).transpose(2, 3)
        if self.kind == "linear":  # the same sum, in the order that never makes P x P numbers
            attended = q @ (k.transpose(2, 3) @ v * self.scale)
        else:
            attended = self.weights(q @ k.transpose(2, 3), mask) @ v
        return attended.transpose(1, 2).flatten(2)

    def flops(self) -> int:
        """The three layers, and a head: 2 P n_k n_v (linear); P N (n_k + n_v) for N = P keys, or N = r and 2 P r more."""
        layers = sum(layer.flops(self.constituents) for layer in (self.query, self.key, self.value))
        p, keys = self.constituents, self.query.widths[-1]
        if self.kind == "linear":
            return layers + 2 * p * keys * self.value_dim
        if self.kind == "linformer":
            return layers + 2 * p * RANK * (keys + self.width)
        return layers + p * p * (keys + self.width)


class ClassAttention(Attention):
    """A constant class token asks: one query, and one weight a head and constituent.

    Each head weighs its share of the channels of x. No matrix makes values of them: it would work on every constituent,
    while one that follows the sum works once a jet.
    """

    def __init__(self, channels: int, constituents: int, kind: Kind, heads: int) -> None:
        if channels % heads:
            raise ModelError(f"{heads} heads of a class token: expected a divisor of {channels} channels")
        super().__init__(constituents, kind, heads, channels // heads)
        self.score = _normed(channels, heads)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        scores = self.in_heads(self.score(x, mask), mask).transpose(2, 3)
        values = self.in_heads(x, mask)
        if self.kind == "linformer":
            scores = self.project_keys(scores)
            values = self.project_values(values.transpose(2, 3)).transpose(2, 3)
        return (self.weights(scores, mask) @ values).transpose(1, 2).flatten(2)

    def flops(self) -> int:
        """The scores, and P d products; with a projection P r (H + d) + r d."""
        scores = self.score.flops(self.constituents)
        if self.kind == "linformer":
            return scores + self.constituents * RANK * (self.heads + self.width) + RANK * self.width
        return scores + self.constituents * self.width


def _normed(inputs: int, outputs: int) -> Perceptron:
    """A linear layer whose batch norm, folded, gives it a bias and numbers of the size of 1."""
    return Perceptron(inputs, (outputs,), activate_last=False, norm=True)
