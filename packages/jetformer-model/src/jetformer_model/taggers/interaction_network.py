"""Interaction Network and JEDI-net.

    e_ij = f_R([x_i, x_j])                      for every ordered pair of constituents, i != j
    o_i  = f_O([x_i, sum_j e_ij])
    logits = phi_C(mean_i o_i)                  Interaction Network (P. Odagiu et al., arXiv:2402.01876)
    logits = phi_C([o_1, ..., o_P])             JEDI-net (E. Moreno et al., arXiv:1908.05318)
    logits = phi_C(sum_i o_i)                   JEDI-net with sum O (the same)

Published forms let padding take part in both sums and in the mean; here e_ij and o_i are zero where a constituent is not
real, and the mean is that of the real ones. JEDI-net without the sum reads constituents by their place, so it is the one
of the three that the order matters to.

The publications build the pairs by products with constant 0-1 matrices; here they are picked by index, which costs no
FLOPs. `published_jedi_flops` counts those products, and 2 for a multiply-accumulate, as JEDI-net's authors did.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from jetformer_model.taggers.perceptron import Perceptron
from jetformer_model.taggers.tagger import Tagger, in_slots, mean_over_constituents, without_padding

Pooling = Literal["mean", "sum", "places"]


class InteractionNetwork(Tagger):
    """An interaction network over all pairs.

    edge_widths, node_widths: of the layers of f_R and f_O (each with an activation)
    head_widths: of the hidden layers of phi_C
    pooling: "mean", "sum", or "places" (o_i side by side)
    activations: of f_R, f_O and phi_C: "relu", "elu" or "selu"
    """

    def __init__(
        self,
        constituents: int,
        features: int,
        classes: int,
        *,
        edge_widths: Sequence[int],
        node_widths: Sequence[int],
        head_widths: Sequence[int],
        pooling: Pooling = "mean",
        activations: tuple[str, str, str] = ("relu", "relu", "relu"),
    ) -> None:
        super().__init__(constituents, features, classes)
        edge, node, head = activations
        pooled = node_widths[-1] * (constituents if pooling == "places" else 1)
        self.pooling = pooling
        self.edges = Perceptron(2 * features, edge_widths, activation=edge)
        self.nodes = Perceptron(features + edge_widths[-1], node_widths, activation=node)
        self.head = Perceptron(pooled, (*head_widths, classes), activation=head, activate_last=False)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        if self.pooling == "places":
            x, mask = in_slots(x, mask, self.constituents)
        x = without_padding(x, mask)
        return self.head(self._pool(self.nodes(torch.cat([x, self._received(x, mask)], -1)), mask))

    def _received(self, x: Tensor, mask: Tensor) -> Tensor:
        """sum_j e_ij over the real constituents j != i."""
        number = x.shape[1]
        senders = others(number, x.device)
        receivers = x.unsqueeze(2).expand(-1, -1, number - 1, -1)
        effects = self.edges(torch.cat([receivers, x[:, senders]], -1))
        return torch.where(mask[:, senders].unsqueeze(-1), effects, 0.0).sum(2)

    def _pool(self, objects: Tensor, mask: Tensor) -> Tensor:
        if self.pooling == "mean":
            return mean_over_constituents(objects, mask)
        objects = without_padding(objects, mask)
        return objects.sum(1) if self.pooling == "sum" else objects.flatten(1)

    def flops(self) -> int:
        """P (P - 1) times f_R, P times f_O, and phi_C."""
        number = self.constituents
        return self.edges.flops(number * (number - 1)) + self.nodes.flops(number) + self.head.flops()


def others(number: int, device: torch.device) -> Tensor:
    """For each of `number` constituents the indices of all others: [number, number - 1].

    >>> others(3, torch.device("cpu")).tolist()
    [[1, 2], [2, 0], [0, 1]]
    """
    following = torch.arange(number, device=device)[:, None] + torch.arange(1, number, device=device)
    return torch.where(following < number, following, following - number)


def odagiu_sizes(constituents: int) -> dict[str, Sequence[int]]:
    """The Interaction Network's published sizes: one network for 8 and 16 constituents, another for 32.

    The publication gives 7,400 parameters for the second; its configuration files, which stand here, make 7,202.
    """
    small = constituents < 32
    return {
        "edge_widths": (12, 6) if small else (3,),
        "node_widths": (36, 18, 6),
        "head_widths": (170,) if small else (512,),
    }


def jedi_sizes(hidden: int, edge: int, node: int) -> dict[str, Sequence[int]]:
    """JEDI-net's widths from the three numbers that its authors searched over (N_n^1, D_E, D_O): N_n^2 is half of N_n^1."""
    return {
        "edge_widths": (hidden, hidden // 2, edge),
        "node_widths": (hidden, hidden // 2, node),
        "head_widths": (hidden, hidden // 2),
    }


def published_jedi_flops(network: InteractionNetwork) -> int:
    """FLOPs in the convention of JEDI-net's authors, up to biases, activations and rescalings (1.5 % more).

    2 a multiply-accumulate, with the products of the features [F, P] and of the effects [D_E, P (P - 1)] with the 0-1
    matrices that say who sends and who receives.
    """
    number = network.constituents
    matrices = (2 * network.features + network.edges.widths[-1]) * number * number * (number - 1)
    return 2 * (network.flops() + matrices)
