"""Norms over tokens that leave padding out of their statistics."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from jetformer_model.config import Norm
from jetformer_model.distributed import sum_over_processes

EPSILON = 1e-5
MOMENTUM = 0.1


class MaskedBatchNorm(nn.Module):
    """y = (x - mean) / sqrt(var + 1e-5) * weight + bias, mean and variance a channel over real tokens only,
    of all processes where several train together.

    Input [..., channels] with a mask [...] (True = real; None: all are). In evaluation the running statistics are used.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        x = x.to(self.running_mean.dtype)  # statistics need more than the 16 bits of autocast
        mean, var = (
            self._batch_statistics(x, mask) if self.training else (self.running_mean, self.running_var)
        )
        return (x - mean) * (torch.rsqrt(var + EPSILON) * self.weight) + self.bias

    def _batch_statistics(self, x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        real = x.new_ones((*x.shape[:-1], 1)) if mask is None else mask.unsqueeze(-1).to(x.dtype)
        axes = tuple(range(x.dim() - 1))
        tokens = sum_over_processes(real.sum())
        count = tokens.clamp(min=1)
        mean = sum_over_processes((x * real).sum(axes)) / count
        var = sum_over_processes(((x - mean).square() * real).sum(axes)) / count
        with torch.no_grad():
            step = MOMENTUM * (tokens > 0)  # a batch of empty jets alone says nothing
            self.running_mean.lerp_(mean, step)
            self.running_var.lerp_(var * count / (count - 1).clamp(min=1), step)
        return mean, var


class TokenLayerNorm(nn.LayerNorm):
    """Layer norm over the channels of a token; the mask is accepted and not needed."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=EPSILON)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:  # type: ignore[override]
        return super().forward(x)


def make_norm(kind: Norm, channels: int) -> MaskedBatchNorm | TokenLayerNorm:
    """The norm that an architecture asks for."""
    return MaskedBatchNorm(channels) if kind == "batch" else TokenLayerNorm(channels)
