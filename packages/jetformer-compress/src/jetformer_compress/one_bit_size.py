"""The size of a network with weights of one bit, in closed form, by two accountings; 1 KB = 1,024 bytes.

kilobytes             the tensors of our own state files: float32 numbers, one bit a weight, one beta a matrix
published_kilobytes   those of the published table: 4 bytes for each entry of a PyTorch state dict with batch norms, their
                      running statistics and step counters among them; with one bit, without the bias of the output
                      projection and without scales
"""

from __future__ import annotations

import math

from jetformer_model.config import Architecture
from jetformer_model.flops import parameters

KB = 1024


def binary_matrices(a: Architecture) -> list[int]:
    """Weights of each matrix that BitLinear holds: q, k, v, output, expand, contract of each block."""
    return [
        weights
        for width, hidden in zip(a.attention_dims, a.feedforward_dims, strict=True)
        for weights in (*[a.embed_dim * width] * 4, *[a.embed_dim * hidden] * 2)
    ]


def kilobytes(architecture: Architecture, *, one_bit: bool) -> float:
    """All tensors of a state file, without its header.

    >>> from jetformer_model.config import preset
    >>> shape = preset("150p", features=3, classes=5)
    >>> round(kilobytes(shape, one_bit=False), 2), round(kilobytes(shape, one_bit=True), 2)
    (393.77, 21.84)
    """
    matrices = binary_matrices(architecture)
    numbers = parameters(architecture) + _statistics(architecture)
    if not one_bit:
        return 4 * numbers / KB
    packed = sum(math.ceil(weights / 8) for weights in matrices)
    return (4 * (numbers - sum(matrices) + len(matrices)) + packed) / KB


def published_kilobytes(architecture: Architecture, *, one_bit: bool, unused: bool = True) -> float:
    """By the published accounting; the architecture is one with batch norms.

    unused: with the norm over the attention map, 4 T T + 1 entries a block, that the published code declares and never uses
    """
    a = architecture
    entries = parameters(a) + _statistics(a) + 3 * a.blocks + 1  # a step counter a norm
    if unused:
        entries += a.blocks * (4 * a.tokens**2 + 1)
    if not one_bit:
        return 4 * entries / KB
    weights = sum(binary_matrices(a))
    return (4 * (entries - weights - a.blocks * a.embed_dim) + weights / 8) / KB


def _statistics(a: Architecture) -> int:
    """Running means and variances: of three norms a block, of width d, d and m, and of the head's."""
    if a.norm != "batch":
        return 0
    return 2 * (sum(2 * a.embed_dim + hidden for hidden in a.feedforward_dims) + a.embed_dim)
