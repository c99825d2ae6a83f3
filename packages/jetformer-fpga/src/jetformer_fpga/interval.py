"""Integer intervals on binary grids: what a wire can hold, element by element."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .fixed_point import Codes, Format, quantise


@dataclass(frozen=True)
class Interval:
    """Every element lies in `[low, high] * 2**-fraction`; three int64 arrays of one shape."""

    low: Codes
    high: Codes
    fraction: Codes

    @classmethod
    def of(cls, fmt: Format, shape: tuple[int, ...]) -> Interval:
        fmt = fmt.spread(shape)
        return cls(fmt.low, fmt.high, np.where(fmt.width > 0, fmt.f, 0))

    @classmethod
    def exactly(cls, codes: Codes, fmt: Format) -> Interval:
        return cls(codes, codes, np.broadcast_to(fmt.f, codes.shape))

    @property
    def shape(self) -> tuple[int, ...]:
        return self.low.shape

    @property
    def bits(self) -> Codes:
        """Address bits that count the codes of the interval, low as 0."""
        return np.ceil(np.log2((self.high - self.low).astype(np.float64) + 1)).astype(np.int64)

    def coarsest(self) -> Interval:
        """Constants on the coarsest grid that holds them: 1 is 1 whatever the fraction bits of its tensor."""
        zeros = np.where(
            self.low != 0, np.log2((self.low & -self.low).astype(np.float64) + (self.low == 0)), 0
        )
        shift = np.where(self.low != 0, zeros.astype(np.int64), 0)
        fraction = np.where(self.low != 0, self.fraction - shift, 0)
        return Interval(self.low >> shift, self.high >> shift, fraction)

    def on(self, fraction: Codes) -> Interval:
        """The same interval on a finer grid."""
        shift = fraction - self.fraction
        low, high, fraction = np.broadcast_arrays(self.low << shift, self.high << shift, fraction)
        return Interval(low, high, fraction)

    def _aligned(self, other: Interval) -> tuple[Interval, Interval]:
        fraction = np.maximum(self.fraction, other.fraction)
        return self.on(fraction), other.on(fraction)

    def __add__(self, other: Interval) -> Interval:
        a, b = self._aligned(other)
        return Interval(a.low + b.low, a.high + b.high, a.fraction)

    def __neg__(self) -> Interval:
        return Interval(-self.high, -self.low, self.fraction)

    def __mul__(self, other: Interval) -> Interval:
        corners = [a * b for a in (self.low, self.high) for b in (other.low, other.high)]
        fraction = np.broadcast_to(self.fraction + other.fraction, corners[0].shape)
        return Interval(np.minimum.reduce(corners), np.maximum.reduce(corners), fraction)

    def sum(self, axis: int) -> Interval:
        finest = np.broadcast_to(self.fraction.max(axis=axis, keepdims=True), self.shape)
        fine = self.on(finest)
        return Interval(fine.low.sum(axis=axis), fine.high.sum(axis=axis), finest.max(axis=axis))

    def maximum(self, axis: int) -> Interval:
        finest = np.broadcast_to(self.fraction.max(axis=axis, keepdims=True), self.shape)
        fine = self.on(finest)
        return Interval(fine.low.min(axis=axis), fine.high.max(axis=axis), finest.max(axis=axis))

    def clipped(self) -> Interval:
        """After ReLU."""
        return Interval(np.maximum(self.low, 0), np.maximum(self.high, 0), self.fraction)

    def quantised(self, fmt: Format) -> Interval:
        """After Q: it rises with its argument, so the ends go to the ends."""
        fmt = fmt.spread(self.shape)
        low, high = quantise(self.low, self.fraction, fmt), quantise(self.high, self.fraction, fmt)
        return Interval(low, high, np.where(fmt.width > 0, fmt.f, 0))
