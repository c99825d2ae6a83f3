"""Numbers that look random and are the same on every machine, with every library, for ever."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def splitmix64(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The output function of SplitMix64 (Steele, Lea, Flood 2014): a bijection that scatters consecutive integers."""
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def key(*numbers: int) -> NDArray[np.uint64]:
    """One number that stands for several, such as a seed and an epoch, uint64 `[1]`."""
    mixed = np.zeros(1, np.uint64)
    for number in numbers:
        mixed = splitmix64(mixed ^ np.uint64(number))
    return mixed


def uniform(numbers: NDArray[np.integer]) -> NDArray[np.float64]:
    """A number in [0, 1) for each integer."""
    return splitmix64(numbers.astype(np.uint64)) / 2.0**64


def permutation(length: int, *numbers: int) -> NDArray[np.int64]:
    """The numbers 0 to `length - 1` in an order that depends on `numbers` alone, int64 `[length]`."""
    return np.argsort(splitmix64(np.arange(length, dtype=np.uint64) ^ key(*numbers)))
