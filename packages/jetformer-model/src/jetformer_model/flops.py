"""Exact FLOP and parameter counts in closed form (the FLOP counter interface, docs/interfaces/flop-counter.md).

1 multiply-accumulate = 1 FLOP, the convention of the publication: a batch norm in evaluation counts 2 an element; bias,
activation, softmax, residual sums and scaling count nothing.
"""

from __future__ import annotations

from typing import Literal

from jetformer_model.config import Architecture

INTERFACE_VERSION = "1.0"


def flops(architecture: Architecture) -> int:
    """FLOPs for one jet, every token's output counted in every block.

    P F d + sum over blocks (4 T d a + 2 T T a + 2 T d m + 4 T d + 2 T m) + 2 d + C d

    >>> from jetformer_model.config import preset
    >>> flops(preset("tiny", features=3, classes=5))
    26168
    """
    d, tokens = architecture.embed_dim, architecture.tokens
    embedding = architecture.constituents * architecture.features * d
    blocks = sum(
        4 * tokens * d * a + 2 * tokens * tokens * a + 2 * tokens * d * m + 4 * tokens * d + 2 * tokens * m
        for a, m in zip(architecture.attention_dims, architecture.feedforward_dims, strict=True)
    )
    return embedding + blocks + 2 * d + architecture.classes * d


def parameters(architecture: Architecture, convention: Literal["live", "published"] = "live") -> int:
    """Parameters of one network.

    "live" counts those that the network uses. "published" adds the 2 T T of each block that the published code declares for
    a norm over the attention map and never uses, so that tables can be compared.
    """
    d, classes = architecture.embed_dim, architecture.classes
    embedding = architecture.features * d + d + d
    blocks = sum(
        4 * d * a + 2 * d * m + 5 * d + 2 * m
        for a, m in zip(architecture.attention_dims, architecture.feedforward_dims, strict=True)
    )
    unused = 2 * architecture.tokens**2 * architecture.blocks if convention == "published" else 0
    return embedding + blocks + 2 * d + classes * d + classes + unused
