"""What the field reports of a tagger: accuracy, AUC a class, background rejection. Plain numpy, one against the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SIGNAL_EFFICIENCY = 0.5


@dataclass(frozen=True)
class Roc:
    """One class against the rest, from the tightest threshold to the loosest.

    background_efficiency, signal_efficiency: [thresholds], both from 0 to 1
    """

    background_efficiency: NDArray[np.float64]
    signal_efficiency: NDArray[np.float64]

    @property
    def auc(self) -> float:
        """Area under signal efficiency against background efficiency."""
        return float(np.trapezoid(self.signal_efficiency, self.background_efficiency))

    def rejection(self, signal_efficiency: float = SIGNAL_EFFICIENCY) -> float:
        """1 / background efficiency at a signal efficiency; infinite if no background jet passes."""
        background = np.interp(signal_efficiency, self.signal_efficiency, self.background_efficiency)
        return float(1 / background) if background > 0 else float("inf")


def roc(scores: NDArray[np.float64], signal: NDArray[np.bool_]) -> Roc:
    """The ROC curve of `scores` [jets] for the jets where `signal` [jets] is True; equal scores share one threshold."""
    order = np.argsort(-scores, kind="stable")
    passed = signal[order]
    last_of_ties = np.append(np.diff(scores[order]) != 0, True)
    signal_passed = np.cumsum(passed)[last_of_ties]
    background_passed = np.cumsum(~passed)[last_of_ties]
    return Roc(
        np.append(0.0, background_passed / max(background_passed[-1], 1)),
        np.append(0.0, signal_passed / max(signal_passed[-1], 1)),
    )


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probabilities [jets, classes] of logits [jets, classes]."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


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

    Rejections that no background jet limits are None.
    """
    accuracy = float((logits.argmax(1) == labels).mean())
    likelihood = softmax(logits)[np.arange(len(labels)), labels]
    curves = roc_curves(logits, labels, class_names)
    rejections = {name: curve.rejection() for name, curve in curves.items()}
    return {
        "jets": len(labels),
        "accuracy": accuracy,
        "accuracy_error": float(np.sqrt(accuracy * (1 - accuracy) / len(labels))),
        "loss": float(-np.log(np.maximum(likelihood, 1e-300)).mean()),
        "auc": {name: curve.auc for name, curve in curves.items()},
        "auc_macro": float(np.mean([curve.auc for curve in curves.values()])),
        "rejection_at_signal_efficiency": SIGNAL_EFFICIENCY,
        "rejection": {name: value if np.isfinite(value) else None for name, value in rejections.items()},
    }
