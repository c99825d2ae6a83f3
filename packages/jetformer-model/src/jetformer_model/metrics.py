"""What the field reports of a tagger: accuracy, AUC a class, background rejection. Plain numpy, one against the rest.

With intervals, and with calibration, confusion and accuracy in bins: `performance`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SIGNAL_EFFICIENCY = 0.5


@dataclass(frozen=True)
class Roc:
    """One class against the rest, from the tightest threshold to the loosest.

    background_efficiency, signal_efficiency: [thresholds], both from 0 to 1; NaN where there are no such jets
    """

    background_efficiency: NDArray[np.float64]
    signal_efficiency: NDArray[np.float64]

    @property
    def auc(self) -> float:
        """Area under signal efficiency against background efficiency."""
        return float(np.trapezoid(self.signal_efficiency, self.background_efficiency))

    def rejection(self, signal_efficiency: float = SIGNAL_EFFICIENCY) -> float:
        """1 / background efficiency at a signal efficiency; infinite if no background jet passes."""
        if np.isnan(self.signal_efficiency[-1]):
            return float("nan")
        background = float(np.interp(signal_efficiency, self.signal_efficiency, self.background_efficiency))
        return 1 / background if background else float("inf")


class Ranking:
    """Jets of a signal and of a background, sorted by score once, for the ROC curves of any weights of these jets.

    scores: [jets], signal, background: [jets]; a jet that is neither takes no part
    Equal scores share one threshold.
    """

    def __init__(
        self, scores: NDArray[np.float64], signal: NDArray[np.bool_], background: NDArray[np.bool_]
    ) -> None:
        jets = np.flatnonzero(signal | background)
        self._order = jets[np.argsort(-scores[jets], kind="stable")]
        self._is_signal = signal[self._order]
        self._thresholds = np.flatnonzero(np.append(np.diff(scores[self._order]) != 0, len(jets) > 0))

    def roc(self, weights: NDArray[np.float64]) -> Roc:
        """The curve of jets with these weights [jets]."""
        passed = weights[self._order]
        signal = np.cumsum(passed * self._is_signal)[self._thresholds]
        background = np.cumsum(passed)[self._thresholds] - signal
        return Roc(_efficiency(background), _efficiency(signal))


def _efficiency(passed: NDArray[np.float64]) -> NDArray[np.float64]:
    """0 and then the share of all that passes each threshold; NaN if there is nothing to pass."""
    everything = passed[-1] if len(passed) and passed[-1] > 0 else np.nan
    return np.append(0.0, passed) / everything


def roc(scores: NDArray[np.float64], signal: NDArray[np.bool_]) -> Roc:
    """The ROC curve of `scores` [jets] for the jets where `signal` [jets] is True; equal scores share one threshold."""
    return Ranking(scores, signal, ~signal).roc(np.ones(len(scores)))


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probabilities [jets, classes] of logits [jets, classes]."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def cross_entropy(logits: NDArray[np.float64], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """-log of the probability of the true class of each jet, [jets]."""
    likelihood = softmax(logits)[np.arange(len(labels)), labels]
    return -np.log(np.maximum(likelihood, 1e-300))


def roc_curves(
    logits: NDArray[np.float64], labels: NDArray[np.int64], class_names: Sequence[str]
) -> dict[str, Roc]:
    """The ROC curve of each class against the rest, its probability as the score."""
    probabilities = softmax(logits)
    return {name: roc(probabilities[:, index], labels == index) for index, name in enumerate(class_names)}


def summarise(
    logits: NDArray[np.float64], labels: NDArray[np.int64], class_names: Sequence[str]
) -> dict[str, object]:
    """Accuracy with its binomial error, mean cross-entropy, AUC and rejection a class, as plain JSON values.

    None: a rejection that no background jet limits, or what a class without jets leaves undefined.
    """
    accuracy = float((logits.argmax(1) == labels).mean())
    curves = roc_curves(logits, labels, class_names)
    auc = {name: curve.auc for name, curve in curves.items()}
    return {
        "jets": len(labels),
        "accuracy": accuracy,
        "accuracy_error": float(np.sqrt(accuracy * (1 - accuracy) / len(labels))),
        "loss": float(cross_entropy(logits, labels).mean()),
        "auc": {name: finite(value) for name, value in auc.items()},
        "auc_macro": finite(float(np.mean(list(auc.values())))),
        "rejection_at_signal_efficiency": SIGNAL_EFFICIENCY,
        "rejection": {name: finite(curve.rejection()) for name, curve in curves.items()},
    }


def finite(value: float) -> float | None:
    """The value, or None where it is infinite or undefined: JSON has no word for these."""
    return float(value) if np.isfinite(value) else None
