"""What a network is fed with."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Inputs:
    """What a network expects a constituent to be: features by name, and how they are normalised.

    mean, std: over real constituents of the training split, one a feature
    min_pt_gev: constituents below are dropped before the first P are taken
    """

    features: tuple[str, ...]
    units: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    min_pt_gev: float
