"""Histograms of jets and of their constituents, with errors that know that constituents of one jet belong together."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(eq=False)
class Histogram:
    """Entries a bin for each class: `edges` `[bins + 1]` in `unit`, `counts` `[classes, bins]`.

    An entry is a jet, or a constituent of one. Entries beyond the edges are in no bin, but in `entries` `[classes]`.
    """

    title: str
    unit: str
    edges: Array
    counts: NDArray[np.int64]
    entry: str = "jets"  # or constituents
    entries: NDArray[np.int64] = field(init=False)
    # Sums over jets of n * n, n * m and m * m, where a jet has n entries in a bin and m in all.
    _bin_bin: Array = field(init=False, repr=False)
    _bin_all: Array = field(init=False, repr=False)
    _all_all: Array = field(init=False, repr=False)

    def __post_init__(self) -> None:
        classes = len(self.counts)
        self.entries = self.counts.sum(axis=1)
        self._bin_bin, self._bin_all = self.counts.astype(float), self.counts.astype(float)
        self._all_all = np.zeros(classes)

    @classmethod
    def empty(cls, title: str, unit: str, edges: Array, classes: int, entry: str = "jets") -> Histogram:
        return cls(title, unit, edges, np.zeros((classes, len(edges) - 1), np.int64), entry)

    def fill(self, values: Array, jet_of: NDArray[np.int64], labels: NDArray[np.int64]) -> None:
        """Take in entries `values` `[entries]` that belong to the jets `jet_of` `[entries]`, `labels` `[jets]`."""
        bins, jets = len(self.edges) - 1, len(labels)
        place = np.searchsorted(self.edges, values, side="right") - 1
        place[values == self.edges[-1]] = bins - 1
        inside = (place >= 0) & (place < bins)  # what is not a number lies beyond the last edge
        in_bin = np.bincount(jet_of[inside] * bins + place[inside], minlength=jets * bins).reshape(jets, bins)
        in_all = np.bincount(jet_of, minlength=jets)
        for label in np.unique(labels):
            n, m = in_bin[labels == label], in_all[labels == label]
            self.counts[label] += n.sum(axis=0)
            self.entries[label] += m.sum()
            self._bin_bin[label] += (n * n).sum(axis=0)
            self._bin_all[label] += m @ n
            self._all_all[label] += (m * m).sum()

    def density(self) -> Array:
        """Share of a class's entries a bin, `[classes, bins]`."""
        return self.counts / np.maximum(1, self.entries[:, None])

    def error(self) -> Array:
        """Statistical error of `density()`, `[classes, bins]`.

        Jets are independent of each other, constituents of one jet are not: with n entries of a jet in a bin and m in
        all, the share p = sum n / sum m has variance sum (n - p m)^2 / (sum m)^2, where the sums run over jets. With one
        entry a jet that is the binomial p (1 - p) / N.
        """
        p = self.density()
        squares = self._bin_bin - 2 * p * self._bin_all + p**2 * self._all_all[:, None]
        return np.asarray(np.sqrt(np.maximum(squares, 0)) / np.maximum(1, self.entries[:, None]))


def ratio(above: Histogram, below: Histogram, label_above: int, label_below: int) -> tuple[Array, Array]:
    """`above / below` a bin and its statistical error, `[bins]` each; not a number where either is empty."""
    a, b = above.density()[label_above], below.density()[label_below]
    a_error, b_error = above.error()[label_above], below.error()[label_below]
    filled = (a > 0) & (b > 0)
    a, b = np.where(filled, a, np.nan), np.where(filled, b, np.nan)
    return a / b, a / b * np.hypot(a_error / a, b_error / b)


def edges_for(values: Array, bins: int) -> Array:
    """Edges, about `bins` of them, at round numbers, that hold all but the outermost thousandths of `values`.

    Whole numbers get bins around them.
    """
    values = values[np.isfinite(values)]
    if not len(values):
        return np.linspace(0, 1, bins + 1)
    low, high = (float(v) for v in np.percentile(values, [0.1, 99.9]))
    if np.array_equal(values, np.round(values)):
        least, most = float(values.min()), float(values.max())
        if most - least <= bins:
            low, high = least, most
        step = float(np.ceil((high - low + 1) / bins))
        return np.arange(low - 0.5, high + 0.5 + step, step)
    if high <= low:
        margin = max(1e-6, 0.1 * abs(low))
        return np.linspace(low - margin, high + margin, bins + 1)
    return edges_between(low, high, bins)


def edges_between(low: float, high: float, bins: int) -> Array:
    """About `bins` edges at round numbers, from below `low` to above `high`."""
    step = _round_number((high - low) / bins)
    return np.asarray(step * np.arange(np.floor(low / step + 1e-9), np.ceil(high / step - 1e-9) + 1))


def _round_number(step: float) -> float:
    """The nearest of 1, 2, 2.5, 5 and 10 times a power of ten."""
    power = 10.0 ** np.floor(np.log10(step))
    return float(power * min((1, 2, 2.5, 5, 10), key=lambda n: abs(np.log(n * power / step))))
