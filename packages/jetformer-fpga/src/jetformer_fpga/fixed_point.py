"""Fixed-point numbers (k, i, f) as exact int64 arithmetic.

A value is `n * 2**-f` with an integer code n in `[-k * 2**(i + f), 2**(i + f) - 1]`: k sign bits (0 or 1), i integer
bits without the sign, f fraction bits; i and f may be negative. A width `k + i + f` of 0 or less holds only 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Codes = NDArray[np.int64]


@dataclass(frozen=True)
class Format:
    """The (k, i, f) of one number, or of many: the three arrays broadcast against the numbers they describe."""

    k: Codes
    i: Codes
    f: Codes

    @classmethod
    def of(cls, kif: Any) -> Format:
        """From an array whose last axis is (k, i, f)."""
        k, i, f = np.moveaxis(np.asarray(kif, dtype=np.int64), -1, 0)
        return cls(k, i, f)

    @property
    def width(self) -> Codes:
        return np.maximum(self.k + self.i + self.f, 0)

    @property
    def low(self) -> Codes:
        """The lowest code."""
        return -np.where(self.width > 0, self.k << np.maximum(self.i + self.f, 0), 0)

    @property
    def high(self) -> Codes:
        """The highest code."""
        return np.where(self.width > 0, (1 << np.maximum(self.i + self.f, 0)) - 1, 0)

    def spread(self, shape: tuple[int, ...]) -> Format:
        """The same formats, one for each number of an array of `shape`."""
        return Format(*(np.broadcast_to(part, shape) for part in (self.k, self.i, self.f)))

    def kif(self) -> NDArray[np.int64]:
        return np.stack(np.broadcast_arrays(self.k, self.i, self.f), axis=-1)

    def value(self, codes: Any) -> NDArray[np.float64]:
        """Codes to real numbers; exact."""
        return np.ldexp(np.asarray(codes, dtype=np.float64), -self.f)


def quantise(codes: Codes, fraction: Any, to: Format) -> Codes:
    """Q of the exact numbers `codes * 2**-fraction`: round half up, then saturate. Integers and shifts alone.

    Codes lie below 2**62 and widths are at most 24, so that shifts beyond 63 and 38 bits change nothing more.
    """
    drop = np.asarray(fraction, dtype=np.int64) - to.f
    down, up = np.clip(drop, 0, 63), np.clip(-drop, 0, 38)
    half = np.where(down > 0, 1 << np.maximum(down - 1, 0), 0)
    rounded = np.where(down > 0, (codes + half) >> down, np.clip(codes, -(1 << 24), 1 << 24) << up)
    return np.clip(rounded, to.low, to.high)


def quantise_real(values: Any, to: Format) -> Codes:
    """Q of real numbers: `n = floor(x * 2**f + 1/2)` in float64, then clamped."""
    scaled = np.asarray(values, dtype=np.float64) * np.ldexp(1.0, to.f)  # faster than ldexp of the values
    return np.clip(np.floor(scaled + 0.5), to.low, to.high).astype(np.int64)


def codes_on_grid(values: Any, fmt: Format) -> tuple[Codes, NDArray[np.bool_]]:
    """The codes of numbers that should lie on their grid, and where they do."""
    scaled = np.ldexp(np.asarray(values, dtype=np.float64), fmt.f)
    good = np.isfinite(scaled) & (scaled == np.floor(scaled)) & (scaled >= fmt.low) & (scaled <= fmt.high)
    return np.where(good, scaled, 0).astype(np.int64), good
