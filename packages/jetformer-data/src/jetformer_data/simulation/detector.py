"""What a detector is: stable particles in, candidates out. Each public set of jets has its own."""

from __future__ import annotations

from typing import Any, ClassVar, Protocol

import numpy as np

from jetformer_data.particles import Particles
from jetformer_data.simulation.candidates import Array, Candidates


class Detector(Protocol):
    """What a style sees its particles with: a frozen dataclass of numbers."""

    __dataclass_fields__: ClassVar[dict[str, Any]]
    needs_vertices: ClassVar[bool]

    def __call__(self, particles: Particles, rng: np.random.Generator) -> Candidates: ...


def log_normal(mean: Array, relative: Array, rng: np.random.Generator) -> Array:
    """Smear with the given relative deviation and without negative values, as Delphes does; the mean is kept."""
    spread = np.sqrt(np.log1p(relative**2))
    return np.asarray(mean * np.exp(spread * rng.normal(size=len(mean)) - spread**2 / 2))
