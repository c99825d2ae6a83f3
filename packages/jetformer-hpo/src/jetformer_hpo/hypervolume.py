"""How much of what is possible a set of points reaches: the area that it dominates, of two objectives.

Each objective is put on a scale from 0 (the reference, nothing gained) to 1 (the best possible); the hypervolume is the area
of all (a, b) in the unit square that some point reaches or exceeds in both. Reference point: (0, 0).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from jetformer_hpo.errors import SearchError


@dataclass(frozen=True)
class Scale:
    """Takes `worst` to 0 and `best` to 1, linear (or in the logarithm) between; what lies outside, to the nearer end.

    >>> Scale(1_000_000, 1_000, logarithmic=True)([1_000, 10_000_000, 31_622.7766]).round(3)
    array([1. , 0. , 0.5])
    """

    worst: float
    best: float
    logarithmic: bool = False

    def __post_init__(self) -> None:
        if self.worst == self.best:
            raise SearchError(f"hypervolume: the worst and the best value are the same, {self.best:g}")
        if self.logarithmic and min(self.worst, self.best) <= 0:
            raise SearchError(
                f"hypervolume: a logarithmic scale needs positive ends, got {self.worst:g} and {self.best:g}"
            )

    def __call__(self, values: ArrayLike) -> NDArray[np.float64]:
        """On the scale, same shape."""
        value, worst, best = (np.asarray(v, dtype=np.float64) for v in (values, self.worst, self.best))
        if self.logarithmic:
            value, worst, best = np.log(value), np.log(worst), np.log(best)
        return np.clip((value - worst) / (best - worst), 0, 1)

    def __str__(self) -> str:
        return f"{'log ' if self.logarithmic else ''}from {self.worst:.4g} (0) to {self.best:.4g} (1)"


def hypervolume(goodness: ArrayLike) -> float:
    """Area that points [points, 2], both coordinates >= 0 and better when larger, dominate above (0, 0).

    >>> hypervolume([(0.5, 1.0), (1.0, 0.5), (0.4, 0.4)])
    0.75
    """
    points = np.asarray(goodness, dtype=np.float64).reshape(-1, 2)
    return float(growth(points)[-1]) if len(points) else 0.0


def growth(goodness: ArrayLike) -> NDArray[np.float64]:
    """The hypervolume of the first 1, 2, ... of the points [points, 2]; [points].

    In strips between neighbours along the first coordinate, from the right: a strip is as high as the best point that
    reaches as far.
    """
    points = np.asarray(goodness, dtype=np.float64).reshape(-1, 2)
    order = np.argsort(-points[:, 0], kind="stable")
    a, b = points[order].T
    widths = a - np.append(a[1:], 0)
    there = order <= np.arange(len(points))[:, None]  # [first so many, points]
    return np.asarray(np.maximum.accumulate(np.where(there, b, 0), axis=1) @ widths)
