"""Whether a tagger's probabilities are those that they claim to be.

    ECE = sum over bins b of |accuracy_b - confidence_b| w_b / sum of w

The confidence of a jet is the probability of the class that it is taken for. The bins are 15 of equal width in confidence,
(0, 1/15], (1/15, 2/15], ..., as in C. Guo et al., "On Calibration of Modern Neural Networks", arXiv:1706.04599.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
BINS = 15


def edges(bins: int = BINS) -> Array:
    """Of the bins in confidence, [bins + 1]."""
    return np.linspace(0, 1, bins + 1)


class Reliability:
    """Jets in bins of confidence, for any weights of these jets.

    probabilities: [jets, classes], labels: [jets]
    """

    def __init__(self, probabilities: Array, labels: NDArray[np.int64], bins: int = BINS) -> None:
        self.bins = bins
        self._confidence = probabilities.max(axis=1)
        self._is_right = probabilities.argmax(axis=1) == labels
        self._bin = np.clip(np.ceil(self._confidence * bins).astype(np.int64) - 1, 0, bins - 1)

    def measure(self, weights: Array) -> tuple[Array, Array, Array]:
        """Share of jets, mean confidence and accuracy in each bin, [bins] each; NaN where a bin is empty."""
        total = self._sum(weights)
        with np.errstate(invalid="ignore"):
            confidence = self._sum(weights * self._confidence) / total
            accuracy = self._sum(weights * self._is_right) / total
        return total / total.sum(), confidence, accuracy

    def _sum(self, weights: Array) -> Array:
        return np.bincount(self._bin, weights, self.bins).astype(np.float64)


def expected_calibration_error(share: Array, confidence: Array, accuracy: Array) -> float:
    """The ECE of what `Reliability.measure` gives."""
    return float(np.nansum(share * np.abs(accuracy - confidence)))
