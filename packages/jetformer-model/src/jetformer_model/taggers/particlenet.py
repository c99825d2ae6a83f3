"""ParticleNet: a dynamic graph network.

    EdgeConv:  x_i' = ReLU(W x_i + mean over the k nearest j of h([x_i, x_j - x_i]))
               h: three times ReLU(Norm(W .)); nearest in (eta, phi) at first, in the features of the layer before later on
    logits = MLP(mean_i x_i)

Source: H. Qu, L. Gouskos, "ParticleNet: Jet Tagging via Particle Clouds", arXiv:1902.08570. Three blocks of channels
(64, 64, 64), (128, 128, 128), (256, 256, 256), k = 16, MLP 256-C with dropout 0.1: 366k parameters with 7 features and 2
classes; as retrained for JetClass (arXiv:2202.03772, 17 features, 10 classes) 370k parameters and 540M FLOPs.

A jet with fewer than k + 1 constituents has padding among its neighbours in the published code; here the mean runs over the
real neighbours that there are, norms see real rows alone, and no work is done on padding. FLOPs count the products behind
the distances.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from jetformer_model.inputs import Inputs
from jetformer_model.norm import MaskedBatchNorm
from jetformer_model.taggers.kinematics import Kinematics, wrapped
from jetformer_model.taggers.rows import RowNorm, spread
from jetformer_model.taggers.tagger import Tagger, each, mean_over_constituents, without_padding


class EdgeConv(nn.Module):
    """One EdgeConv block from `channels` to `widths[-1]` channels over the `neighbours` nearest."""

    def __init__(self, channels: int, widths: Sequence[int], neighbours: int) -> None:
        super().__init__()
        self.neighbours = neighbours
        self.widths = (2 * channels, *widths)
        self.layers = nn.ModuleList(nn.Linear(a, b, bias=False) for a, b in pairwise(self.widths))
        self.norms = nn.ModuleList(RowNorm(width) for width in widths)
        self.shortcut = nn.Linear(channels, widths[-1], bias=False)
        self.shortcut_norm = RowNorm(widths[-1])

    def forward(self, points: Tensor, x: Tensor, mask: Tensor) -> Tensor:
        """points [jets, constituents, coordinates], x [jets, constituents, channels], zeros at padding -> the same with
        `widths[-1]` channels."""
        partner, real = nearest(points, mask, self.neighbours)
        edges = real.nonzero(as_tuple=True)
        jet, i = edges[:2]
        messages = torch.cat([x[jet, i], x[jet, partner[edges]] - x[jet, i]], -1)
        for layer, norm in zip(self.layers, self.norms, strict=True):
            messages = functional.relu(norm(layer(messages)))
        total = spread(messages, edges, tuple(real.shape)).sum(2)
        mean = total / real.sum(2, keepdim=True).clamp(min=1)
        here = mask.nonzero(as_tuple=True)
        rows = self.shortcut_norm(self.shortcut(x[here])) + mean[here]
        return spread(functional.relu(rows), here, tuple(mask.shape))

    def flops(self, constituents: int, coordinates: int) -> int:
        """Distances, P k times the three layers and their norms, P times the shortcut and its norm."""
        edges = constituents * min(self.neighbours, constituents - 1)
        layers = sum(a * b for a, b in pairwise(self.widths)) + 2 * sum(self.widths[1:])
        shortcut = self.shortcut.weight.numel() + 2 * self.widths[-1]
        return constituents**2 * coordinates + edges * layers + constituents * shortcut


class ParticleNet(Tagger):
    """`blocks`: the widths of each EdgeConv; `neighbours`: k; `hidden`: the width of the layer before the logits."""

    def __init__(
        self,
        inputs: Inputs,
        constituents: int,
        classes: int,
        blocks: Sequence[Sequence[int]] = ((64,) * 3, (128,) * 3, (256,) * 3),
        neighbours: int = 16,
        hidden: int = 256,
        dropout: float = 0.1,
    ) -> None:
        features = len(inputs.features)
        super().__init__(constituents, features, classes)
        widths = (features, *(block[-1] for block in blocks))
        self.coordinates = Kinematics(inputs, ("eta", "phi"))
        self.input_norm = MaskedBatchNorm(features)
        self.blocks = nn.ModuleList(
            EdgeConv(channels, block, neighbours) for channels, block in zip(widths, blocks, strict=False)
        )
        self.head = nn.Sequential(
            nn.Linear(widths[-1], hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, classes)
        )
        self.point_widths = (2, *widths[1:-1])
        self.head_macs = widths[-1] * hidden + hidden * classes

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        x = without_padding(x, mask)
        eta, phi = self.coordinates(x, mask)
        points = around_the_first(eta, phi, mask)
        x = without_padding(self.input_norm(x, mask), mask)
        for block in self.blocks:
            x = block(points, x, mask)
            points = x
        return self.head(mean_over_constituents(x, mask))

    def flops(self) -> int:
        """The input's norm, the blocks and the head."""
        blocks = sum(
            block.flops(self.constituents, width)
            for block, width in zip(each(self.blocks, EdgeConv), self.point_widths, strict=True)
        )
        return 2 * self.constituents * self.features + blocks + self.head_macs


def around_the_first(eta: Tensor, phi: Tensor, mask: Tensor) -> Tensor:
    """(eta, phi) counted from the first real constituent, phi in [-pi, pi): [jets, constituents, 2], 0 at padding.

    Distances stay what they are, but for a jet that lies across phi = pi, which they get right.
    """
    first = mask.int().argmax(1, keepdim=True)
    deta, dphi = eta - eta.gather(1, first), wrapped(phi - phi.gather(1, first))
    return without_padding(torch.stack([deta, dphi], -1), mask)


@torch.no_grad()
def nearest(points: Tensor, mask: Tensor, neighbours: int) -> tuple[Tensor, Tensor]:
    """The nearest other real constituents: (index, real), both [jets, constituents, min(k, P - 1)].

    points: [jets, constituents, coordinates]; real: False where there are fewer, and for padding.
    """
    # |a - b|^2 loses what a narrow jet is made of if |a|^2 is rounded to 8 bits
    with torch.autocast(points.device.type, enabled=False):
        points = points.float()
        square = points.square().sum(-1)
        distance = square.unsqueeze(2) + square.unsqueeze(1) - 2 * points @ points.transpose(1, 2)
    itself = torch.eye(points.shape[1], dtype=torch.bool, device=points.device)
    distance = distance.masked_fill(~mask.unsqueeze(1) | itself, torch.inf)
    found = distance.topk(min(neighbours, points.shape[1] - 1), largest=False)
    return found.indices, found.values.isfinite() & mask.unsqueeze(2)
