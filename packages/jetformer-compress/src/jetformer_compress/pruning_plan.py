"""What pruning leaves of an architecture, known before any work: widths, heads, FLOPs.

kept = floor((1 - ratio) n)        of n dimensions of a head, n hidden dimensions, n heads, n residual dimensions
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Literal, get_args

from jetformer_compress.errors import CompressError
from jetformer_model.config import Architecture
from jetformer_model.flops import flops

Importance = Literal["taylor", "l1", "l2"]
Scope = Literal["layer", "global"]


@dataclass(frozen=True)
class Pruning:
    """How a network is pruned.

    ratio: the share that goes, in (0, 1)
    steps: in so many steps, fine-tuning after each
    importance: "taylor": |weight x gradient|, to first order the change of the loss; "l1", "l2": size of the weights,
        relative to the mean of their layer
    scope: "layer": the same share of each layer; "global": one ranking over all layers of a kind, for the same sum
    heads: whole heads go, the same number in each block, and the dimension of a head stays; else dimensions inside heads go,
        the same in all heads of a block
    residual: the residual stream gets narrower too, and with it the class token
    last_epochs: of fine-tuning after the last step, where they shall be others than after each
    """

    ratio: float = 0.5
    steps: int = 5
    importance: Importance = "taylor"
    scope: Scope = "layer"
    heads: bool = False
    residual: bool = False
    last_epochs: int | None = None

    def __post_init__(self) -> None:
        if not 0 < self.ratio < 1:
            raise CompressError(f"pruning ratio: expected a number between 0 and 1, got {self.ratio}")
        if self.steps < 1:
            raise CompressError(f"pruning steps: expected at least 1, got {self.steps}")
        if self.last_epochs is not None and self.last_epochs < 1:
            raise CompressError(
                f"epochs after the last pruning step: expected at least 1, got {self.last_epochs}"
            )
        for name, known in (("importance", get_args(Importance)), ("scope", get_args(Scope))):
            if getattr(self, name) not in known:
                raise CompressError(
                    f"pruning {name}: expected one of {', '.join(known)}, got {getattr(self, name)!r}"
                )


def plan(architecture: Architecture, pruning: Pruning) -> Architecture:
    """What `prune` arrives at; with the scope "global" its blocks' widths have other shares of the same sums, which FLOPs
    and parameters depend on alone.

    Raises CompressError if nothing would go.

    >>> from jetformer_model.config import preset
    >>> plan(preset("tiny", features=3, classes=5), Pruning(ratio=0.5)).feedforward_dims
    (8, 8, 8, 8)
    """
    after = _left(architecture, pruning, pruning.ratio)
    if after == architecture:
        raise CompressError(
            f"pruning ratio {pruning.ratio:g}: removes nothing of this network; try a larger one"
        )
    return after


def step_plan(architecture: Architecture, pruning: Pruning, step: int) -> Architecture:
    """What is left after `step` of the steps; the last is that of `plan`."""
    return _left(architecture, pruning, pruning.ratio * (step / pruning.steps))


def with_target(architecture: Architecture, pruning: Pruning, target_flops: int) -> Pruning:
    """The same with the smallest ratio that leaves at most `target_flops` FLOPs.

    Raises CompressError if the network is as small already, or cannot be made so small.
    """
    before = flops(architecture)
    if target_flops >= before:
        raise CompressError(f"target of {target_flops:,} FLOPs: this network has {before:,} already")
    low, high = 0.0, 1 - 1e-6
    smallest = flops(_left(architecture, pruning, high))
    if smallest > target_flops:
        raise CompressError(
            f"target of {target_flops:,} FLOPs: {smallest:,} is as small as this network gets"
        )
    while high - low > 1e-6:
        middle = (low + high) / 2
        fits = flops(_left(architecture, pruning, middle)) <= target_flops
        low, high = (low, middle) if fits else (middle, high)
    return dataclasses.replace(pruning, ratio=high)


def _left(a: Architecture, pruning: Pruning, ratio: float) -> Architecture:
    def kept(units: int) -> int:
        return max(1, math.ceil(units * (1 - ratio) - 0.5 - 1e-9))  # 5 * (1 - 0.1) may be more than 4.5

    heads = kept(a.heads) if pruning.heads else a.heads
    inside = (width // a.heads if pruning.heads else kept(width // a.heads) for width in a.attention_dims)
    return dataclasses.replace(
        a,
        heads=heads,
        attention_dims=tuple(heads * dimension for dimension in inside),
        feedforward_dims=tuple(kept(width) for width in a.feedforward_dims),
        embed_dim=kept(a.embed_dim) if pruning.residual else a.embed_dim,
    )
