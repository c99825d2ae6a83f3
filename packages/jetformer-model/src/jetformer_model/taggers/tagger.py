"""What every tagger is, and how one goes from padded jets to numbers without reading the padding.

FLOPs: 1 multiply-accumulate = 1 FLOP, of one jet whose constituents are all real; a norm counts 2 an element; bias,
activation, softmax, sums and means, neighbour search by sorting and copying count nothing (as for JetFormer).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

Module = TypeVar("Module", bound=nn.Module)


class Tagger(nn.Module, ABC):
    """`tagger(x, mask) -> logits`.

    x: [jets, constituents, features] float32, normalised
    mask: [jets, constituents] bool, True = real constituent
    logits: [jets, classes], no softmax applied

    What stands in `x` where the mask is False is never read, be it a NaN. `constituents` is P, the number of slots that the
    tagger is made for: where its parameters depend on P, only the first P slots of a jet are read; otherwise P is what
    `flops` counts with.

    name, sizes: what the registry built it from; `sizes` holds those that are not the published ones
    """

    name: str
    sizes: dict[str, Any]

    def __init__(self, constituents: int, features: int, classes: int) -> None:
        super().__init__()
        self.constituents = constituents
        self.features = features
        self.classes = classes

    @abstractmethod
    def flops(self) -> int:
        """FLOPs of one jet with P real constituents, in closed form."""

    @abstractmethod
    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Logits [jets, classes]."""


def without_padding(x: Tensor, mask: Tensor) -> Tensor:
    """x [jets, constituents, channels] with zeros where the mask is False, whatever was there."""
    return torch.where(mask.unsqueeze(-1), x, 0.0)


def in_slots(x: Tensor, mask: Tensor, slots: int) -> tuple[Tensor, Tensor]:
    """(x, mask) cut or filled up to `slots` constituents, with zeros for what is not real."""
    missing = max(slots - x.shape[1], 0)
    x, mask = without_padding(x[:, :slots], mask[:, :slots]), mask[:, :slots]
    return functional.pad(x, (0, 0, 0, missing)), functional.pad(mask, (0, missing))


def mean_over_constituents(x: Tensor, mask: Tensor) -> Tensor:
    """Mean over the real constituents: [jets, constituents, channels] -> [jets, channels]; 0 for a jet without any."""
    return without_padding(x, mask).sum(1) / mask.sum(1, keepdim=True).clamp(min=1)


def each(modules: nn.ModuleList, kind: type[Module]) -> Iterable[Module]:
    """The modules of a list, typed."""
    return cast("Iterable[Module]", modules)
