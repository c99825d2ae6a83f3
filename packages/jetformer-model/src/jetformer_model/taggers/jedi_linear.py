"""JEDI-linear, an interaction network without pairs.

    h_i = act(Norm(W_h x_i))
    z_i = act(Norm(W_s h_i)) + act(Norm(W_g g)),   g = 2^-round(log2 P) sum_i h_i
    logits = MLP((1 / 16) sum_i act(Norm(W_z z_i)))

Source: Z. Que, C. Sun et al., "JEDI-linear: Fast and Efficient Graph Neural Networks for Jet Tagging on FPGAs",
arXiv:2508.15468; widths as in the authors' configuration: d = 64, MLP 64-32-16-C. If f_R of an interaction network is one
linear layer, the sum over partners j of W [x_i, x_j] is one term of x_i and one of sum_j x_j: P evaluations in place of
P (P - 1).

Every layer has a batch norm, folded into its weights in firmware. The publication sums over all P slots; here the sums run
over real constituents, with the published factors, powers of two that a circuit has for nothing. The publication gives no
parameter count; ours has a scale and a shift for each norm in place of a bias.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor

from jetformer_model.taggers.perceptron import Perceptron
from jetformer_model.taggers.tagger import Tagger, without_padding

POOLING_SCALE = 1 / 16


class JediLinear(Tagger):
    """`embed_dim`: d. `head_widths`: of the hidden layers after the sum."""

    def __init__(
        self,
        constituents: int,
        features: int,
        classes: int,
        embed_dim: int = 64,
        head_widths: Sequence[int] = (64, 32, 16),
    ) -> None:
        super().__init__(constituents, features, classes)
        self.global_scale = 2.0 ** -round(math.log2(constituents))
        self.embedding = Perceptron(features, (embed_dim,), norm=True)
        self.own = Perceptron(embed_dim, (embed_dim,), norm=True)
        self.of_all = Perceptron(embed_dim, (embed_dim,), norm=True)
        self.update = Perceptron(embed_dim, (embed_dim,), norm=True)
        self.head = Perceptron(embed_dim, (*head_widths, classes), activate_last=False, norm=True)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        h = self.embedding(without_padding(x, mask), mask)
        everything = self.of_all(without_padding(h, mask).sum(1) * self.global_scale)
        z = self.update(self.own(h, mask) + everything.unsqueeze(1), mask)
        return self.head(without_padding(z, mask).sum(1) * POOLING_SCALE)

    def flops(self) -> int:
        """P times three layers, one layer for the sum, and the head."""
        each = (self.embedding, self.own, self.update)
        once = self.of_all.flops() + self.head.flops()
        return sum(layer.flops(self.constituents) for layer in each) + once
