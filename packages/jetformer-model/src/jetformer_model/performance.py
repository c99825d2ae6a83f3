"""All that is reported of a tagger's answers, each number with an interval of 68 % from resampled jets (`bootstrap`).

found = measure_performance(logits, labels, class_names, jet_axes("jets.h5", "test"))
found.estimates["accuracy"].value, found.as_dict()
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jetformer_model.bootstrap import COVERAGE, Estimate, estimate
from jetformer_model.calibration import Reliability, expected_calibration_error
from jetformer_model.errors import ModelError
from jetformer_model.jet_axes import JetAxis
from jetformer_model.metrics import Ranking, cross_entropy, finite, softmax, summarise
from jetformer_model.working_points import WorkingPoint, working_points

Array = NDArray[np.float64]
RESAMPLES = 100


@dataclass(frozen=True)
class Answers:
    """What a tagger said of jets: logits [jets, classes] and the true labels [jets]."""

    logits: Array
    labels: NDArray[np.int64]
    class_names: tuple[str, ...]

    @property
    def is_right(self) -> NDArray[np.bool_]:
        """[jets]."""
        return self.logits.argmax(axis=1) == self.labels


@dataclass(frozen=True)
class Performance:
    """Estimates by name, with C classes:

    accuracy, loss, auc_macro, expected_calibration_error: []
    auc, rejection: [C], each class against the rest
    rejection_at_working_point: [working points]
    confusion: [C, C], the share of each true class (first axis) that is taken for each class
    reliability_share, reliability_confidence, reliability_accuracy: [bins of confidence]
    accuracy_in_NAME: [bins], for each of the axes
    """

    answers: Answers
    points: tuple[WorkingPoint, ...]
    axes: tuple[JetAxis, ...]
    resamples: int
    seed: int
    estimates: dict[str, Estimate]

    def as_dict(self) -> dict[str, Any]:
        """As plain JSON values: those of `summarise` and more, and their intervals under the same names; None: no number."""
        answers = self.answers
        result = summarise(answers.logits, answers.labels, answers.class_names)
        result |= {"working_points": {p.name: p.as_dict() for p in self.points}}
        result |= self._named(lambda e: _plain(e.value))
        if self.resamples:
            result |= {"interval": COVERAGE, "resamples": self.resamples, "seed": self.seed}
            result["intervals"] = self._named(lambda e: _plain(np.stack([e.low, e.high], axis=-1)))
        return result

    def _named(self, plain: Callable[[Estimate], Any]) -> dict[str, Any]:
        e, class_names = self.estimates, self.answers.class_names

        def by_name(names: Sequence[str], key: str) -> dict[str, Any]:
            return dict(zip(names, plain(e[key]), strict=True))

        scalars = ("accuracy", "loss", "auc_macro", "expected_calibration_error")
        points = [point.name for point in self.points]
        return {
            **{key: plain(e[key]) for key in scalars},
            **{key: by_name(class_names, key) for key in ("auc", "rejection")},
            "rejection_at_working_point": by_name(points, "rejection_at_working_point"),
            "confusion": plain(e["confusion"]),
            "reliability": {
                key: plain(e[f"reliability_{key}"]) for key in ("share", "confidence", "accuracy")
            },
            "accuracy_in_bins": {
                axis.name: {"edges": _plain(axis.edges), "accuracy": plain(e[f"accuracy_in_{axis.name}"])}
                for axis in self.axes
            },
        }


def measure_performance(
    logits: Array,
    labels: NDArray[np.int64],
    class_names: Sequence[str],
    axes: Sequence[JetAxis] = (),
    *,
    resamples: int = RESAMPLES,
    seed: int = 1,
) -> Performance:
    """Measure a tagger's answers, logits [jets, classes], on jets with these labels [jets]; `resamples` 0: no intervals.

    Raises ModelError if a logit is no number.
    """
    if broken := int((~np.isfinite(logits)).any(axis=1).sum()):
        raise ModelError(
            f"the network answers no number for {broken:,} of {len(logits):,} jets; was its training sound?"
        )
    answers, points = Answers(logits, labels, tuple(class_names)), working_points(class_names)
    parts = [_overall(answers), _rankings(answers, points), _confusion(answers), _reliability(answers)]
    parts += [_in_bins(answers, axis) for axis in axes]

    def measure(weights: Array) -> dict[str, Array]:
        return {name: np.asarray(value) for part in parts for name, value in part(weights).items()}

    estimates = estimate(measure, len(labels), resamples, seed, centred=["expected_calibration_error"])
    return Performance(answers, points, tuple(axes), resamples, seed, estimates)


Part = Callable[[Array], dict[str, Any]]


def _overall(answers: Answers) -> Part:
    is_right, losses = answers.is_right, cross_entropy(answers.logits, answers.labels)
    return lambda weights: {
        "accuracy": np.average(is_right, weights=weights),
        "loss": np.average(losses, weights=weights),
    }


def _rankings(answers: Answers, points: Sequence[WorkingPoint]) -> Part:
    probabilities, labels = softmax(answers.logits), answers.labels
    each_class = [
        Ranking(probabilities[:, k], labels == k, labels != k) for k in range(len(answers.class_names))
    ]
    at_points = [point.ranking(answers.logits, labels) for point in points]

    def part(weights: Array) -> dict[str, Any]:
        curves = [ranking.roc(weights) for ranking in each_class]
        auc = np.array([curve.auc for curve in curves])
        return {
            "auc": auc,
            "auc_macro": auc.mean(),
            "rejection": [curve.rejection() for curve in curves],
            "rejection_at_working_point": [
                ranking.roc(weights).rejection(point.signal_efficiency)
                for ranking, point in zip(at_points, points, strict=True)
            ],
        }

    return part


def _confusion(answers: Answers) -> Part:
    classes = len(answers.class_names)
    cell = answers.labels * classes + answers.logits.argmax(axis=1)

    def part(weights: Array) -> dict[str, Any]:
        jets = np.bincount(cell, weights, classes**2).reshape(classes, classes)
        with np.errstate(invalid="ignore"):  # NaN for a class without jets
            return {"confusion": jets / jets.sum(axis=1, keepdims=True)}

    return part


def _reliability(answers: Answers) -> Part:
    reliability = Reliability(softmax(answers.logits), answers.labels)

    def part(weights: Array) -> dict[str, Any]:
        share, confidence, accuracy = reliability.measure(weights)
        return {
            "reliability_share": share,
            "reliability_confidence": confidence,
            "reliability_accuracy": accuracy,
            "expected_calibration_error": expected_calibration_error(share, confidence, accuracy),
        }

    return part


def _in_bins(answers: Answers, axis: JetAxis) -> Part:
    is_right, bins = answers.is_right, axis.bin_of()

    def part(weights: Array) -> dict[str, Any]:
        with np.errstate(invalid="ignore"):
            right = np.bincount(bins, weights * is_right, axis.bins) / np.bincount(bins, weights, axis.bins)
        return {f"accuracy_in_{axis.name}": right}

    return part


def _plain(values: Array) -> Any:
    """Nested lists of numbers, None where there is none."""
    return [_plain(one) for one in values] if np.ndim(values) else finite(float(values))
