"""Intervals by resampling jets: what would be measured on other jets of the same kind.

A resample draws as many jets as there are, with replacement. It is given as the number of times that each jet was drawn,
which a measurement takes as weights; so jets are sorted, binned and so on once, not once a resample.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Measurement = Callable[[Array], dict[str, Array]]
COVERAGE = 0.68
_QUANTILES = ((1 - COVERAGE) / 2, 0.5, (1 + COVERAGE) / 2)


@dataclass(frozen=True)
class Estimate:
    """A measured value and its interval of 68 %, arrays of one shape; NaN where undefined, or not resampled."""

    value: Array
    low: Array
    high: Array


def estimate(
    measure: Measurement, jets: int, resamples: int, seed: int, centred: Collection[str] = ()
) -> dict[str, Estimate]:
    """Each quantity of `measure(weights [jets])`, with the 16 % and 84 % quantiles of its values in the resamples.

    measure: gives arrays by name, always of the same shapes
    resamples: 0 for no intervals
    centred: quantities that noise makes larger, so that those of resamples lie beyond the value; their intervals keep their
        width and are moved until the median of the resamples is the value
    """
    nominal = measure(np.ones(jets))
    rng = np.random.default_rng(seed)
    drawn = [measure(_resample(jets, rng)) for _ in range(resamples)]
    return {
        name: _estimate(value, [one[name] for one in drawn], name in centred)
        for name, value in nominal.items()
    }


def _resample(jets: int, rng: np.random.Generator) -> Array:
    """How often each of the jets is drawn, [jets]; the same as multinomial counts, and faster."""
    return np.bincount(rng.integers(jets, size=jets), minlength=jets).astype(np.float64)


def _estimate(value: Array, drawn: list[Array], is_centred: bool) -> Estimate:
    if not drawn:
        unknown = np.full_like(value, np.nan)
        return Estimate(value, unknown, unknown)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "All-NaN slice")
        # not interpolated: between an infinite rejection and another one lies no number
        low, median, high = np.nanquantile(np.stack(drawn), _QUANTILES, axis=0, method="nearest")
    shift = value - median if is_centred else 0.0
    return Estimate(value, low + shift, high + shift)
