"""Integer intervals on binary grids: what a wire can hold, element by element."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .fixed_point import Codes, Format, quantise

LIMIT = 62  # bits of magnitude that leave room for a sign and a rounding constant


class TooWide(ArithmeticError):
    """An exact number needs more bits than int64 has room for."""

    def __init__(self, bits: float) -> None:
        super().__init__(bits)
        self.bits = int(np.ceil(bits))


def _check(*magnitudes: Any) -> None:
    """Floats tell when integers would overflow in silence."""
    largest = max(float(np.max(m, initial=0.0)) for m in magnitudes)
    if largest >= 2.0**LIMIT:
        raise TooWide(np.log2(largest))


def _magnitude(codes: Codes) -> NDArray[np.float64]:
    return np.asarray(np.abs(codes.astype(np.float64)))


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
        _check(*(_magnitude(end) * 2.0**shift for end in (self.low, self.high)))
        low, high, fraction = np.broadcast_arrays(self.low << shift, self.high << shift, fraction)
        return Interval(low, high, fraction)

    def _aligned(self, other: Interval) -> tuple[Interval, Interval]:
        fraction = np.maximum(self.fraction, other.fraction)
        return self.on(fraction), other.on(fraction)

    def __add__(self, other: Interval) -> Interval:
        a, b = self._aligned(other)
        _check(*(_magnitude(x) + _magnitude(y) for x, y in ((a.low, b.low), (a.high, b.high))))
        return Interval(a.low + b.low, a.high + b.high, a.fraction)

    def __neg__(self) -> Interval:
        return Interval(-self.high, -self.low, self.fraction)

    def __mul__(self, other: Interval) -> Interval:
        ends = [np.maximum(_magnitude(x.low), _magnitude(x.high)) for x in (self, other)]
        _check(ends[0] * ends[1])
        corners = [a * b for a in (self.low, self.high) for b in (other.low, other.high)]
        fraction = np.broadcast_to(self.fraction + other.fraction, corners[0].shape)
        return Interval(np.minimum.reduce(corners), np.maximum.reduce(corners), fraction)

    def sum(self, axis: int) -> Interval:
        finest = np.broadcast_to(self.fraction.max(axis=axis, keepdims=True), self.shape)
        fine = self.on(finest)
        _check(*(_magnitude(end).sum(axis=axis) for end in (fine.low, fine.high)))
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
