"""h_(l+1) = act(Norm(W_l h_l + b_l)): the stack of dense layers that most taggers are made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from jetformer_model.norm import MaskedBatchNorm
from jetformer_model.taggers.tagger import each

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": functional.relu,
    "elu": functional.elu,
    "selu": functional.selu,
}


class Perceptron(nn.Module):
    """Dense layers over the last axis.

    inputs, widths: channels in, and out of each layer
    activation: "relu", "elu" or "selu", after each layer; after the last one only if `activate_last`
    norm: a masked batch norm after each layer, which then has no bias of its own

    Weights start as in the publications' framework (Glorot uniform, biases 0): PyTorch's own start lets the signal fade in
    the deeper ones.
    """

    def __init__(
        self,
        inputs: int,
        widths: Sequence[int],
        *,
        activation: str = "relu",
        activate_last: bool = True,
        norm: bool = False,
    ) -> None:
        super().__init__()
        self.widths = (inputs, *widths)
        self.activation = ACTIVATIONS[activation]
        self.activated = len(widths) if activate_last else len(widths) - 1
        self.layers = nn.ModuleList(nn.Linear(a, b, bias=not norm) for a, b in pairwise(self.widths))
        self.norms = nn.ModuleList(MaskedBatchNorm(width) for width in widths) if norm else None
        for layer in each(self.layers, nn.Linear):
            nn.init.xavier_uniform_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """x [..., inputs] -> [..., widths[-1]]. mask [...]: True = counts in a norm's statistics; all do if not given."""
        for index, layer in enumerate(self.layers):
            x = layer(x)
            if self.norms is not None:
                x = self.norms[index](
                    x, torch.ones_like(x[..., 0], dtype=torch.bool) if mask is None else mask
                )
            if index < self.activated:
                x = self.activation(x)
        return x

    def flops(self, rows: int = 1) -> int:
        """FLOPs for so many rows of input."""
        norms = 2 * sum(self.widths[1:]) if self.norms is not None else 0
        return rows * (sum(a * b for a, b in pairwise(self.widths)) + norms)
