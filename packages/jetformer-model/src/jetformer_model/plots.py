"""Pictures of a tagger's performance: ROC curves, confusion matrix, reliability, accuracy in bins."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from jetformer_data.looking.pairs import MOST_CLASSES
from jetformer_data.looking.panels import COLOURS
from jetformer_model.bootstrap import Estimate
from jetformer_model.calibration import edges as confidence_edges
from jetformer_model.jet_axes import JetAxis
from jetformer_model.performance import Performance
from jetformer_model.plotting import new_figure

_LEAST_SIGNAL = 0.1  # at less, there is too little of it for a curve
_ONE = COLOURS[0]
_LARGEST, _MOST_NUMBERS = 18, 15  # inches of a confusion matrix; classes, before numbers run into one another


def draw_performance(found: Performance, title: str) -> Iterator[tuple[str, Any]]:
    """(name, figure) of each picture. To be drawn within `plotting.style`."""
    yield "roc", draw_roc(found, title)
    yield "confusion", draw_confusion(found, title)
    yield "reliability", draw_reliability(found, title)
    for axis in found.axes:
        yield f"accuracy_in_{axis.name}", draw_accuracy(found, axis, title)


def draw_roc(found: Performance, title: str) -> Any:
    """Background efficiency against signal efficiency; a dot at the working point of each class."""
    figure = new_figure(9, 7.5)
    axes = figure.subplots()
    answers, shown = found.answers, found.points[:MOST_CLASSES]
    rejections = found.estimates["rejection_at_working_point"].value
    for point, rejection, colour in zip(shown, rejections, itertools.cycle(COLOURS), strict=False):
        curve = point.ranking(answers.logits, answers.labels).roc(np.ones(len(answers.labels)))
        label = f"{point.name}, AUC {curve.auc:.4f}"
        axes.plot(curve.signal_efficiency, curve.background_efficiency, color=colour, lw=2, label=label)
        if np.isfinite(rejection):
            axes.plot(point.signal_efficiency, 1 / rejection, "o", color=colour, ms=7)
    axes.plot([], [], "o", color="0.3", ms=7, label="Working points")
    fewest = min(int(np.isin(answers.labels, point.backgrounds).sum()) for point in shown)
    axes.set(xlim=(_LEAST_SIGNAL, 1), ylim=(max(0.5 / max(fewest, 1), 1e-7), 1.5), yscale="log")
    axes.set_xlabel("Signal efficiency")
    against = found.points[0].against
    axes.set_ylabel("Background efficiency" if against == "rest" else f"{against} efficiency")
    axes.grid(alpha=0.3)
    left_out = len(found.points) - len(shown)
    axes.legend(title=title + (f" ({left_out} classes left out)" if left_out else ""), loc="upper left")
    return figure


def draw_confusion(found: Performance, title: str) -> Any:
    """The share of each true class that is taken for each class, in per cent."""
    names = found.answers.class_names
    share = 100 * found.estimates["confusion"].value
    size = min(4.5 + 0.85 * len(names), _LARGEST)
    figure = new_figure(size + 0.8, size)
    axes = figure.subplots()
    drawn = axes.imshow(share, cmap="Blues", vmin=0, vmax=100)
    if len(names) <= _MOST_NUMBERS:
        for (row, column), value in np.ndenumerate(share):
            colour = "white" if value > 55 else "black"
            text = f"{value:.1f}" if np.isfinite(value) else ""
            axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=14)
    places = np.arange(len(names))
    axes.set_xticks(places, names, rotation=45 if max(map(len, names)) > 3 else 0)
    axes.set_yticks(places, names)
    axes.tick_params(labelsize=min(15, 50 * size / len(names)))
    axes.tick_params(which="both", length=0)
    axes.minorticks_off()
    axes.set(xlabel="Taken for", ylabel="True class")
    axes.set_title(title, pad=10)
    figure.colorbar(drawn, ax=axes, label="Share of the true class [%]", shrink=0.85)
    return figure


def draw_reliability(found: Performance, title: str) -> Any:
    """Accuracy against confidence, and how many jets have which confidence."""
    figure = new_figure(8, 8.5)
    above, below = figure.subplots(2, sharex=True, height_ratios=(3, 1))
    e = found.estimates
    above.plot((0, 1), (0, 1), color="0.6", ls="--", lw=1.5, label="Calibrated")
    error = 100 * e["expected_calibration_error"].value
    _error_bars(
        above, e["reliability_confidence"].value, e["reliability_accuracy"], label=f"ECE {error:.2f} %"
    )
    above.set(ylim=(0, 1.05), ylabel="Accuracy")
    above.legend(title=title, loc="upper left")
    edges = confidence_edges()
    below.stairs(e["reliability_share"].value, edges, color=_ONE, fill=True, alpha=0.5)
    below.set(xlim=(0, 1), xlabel="Confidence", ylabel="Share of jets", ylim=(0, None))
    figure.align_ylabels()
    return figure


def draw_accuracy(found: Performance, axis: JetAxis, title: str) -> Any:
    """Accuracy in bins of one quantity of jets, each at its mean, with that of all jets."""
    figure = new_figure(9, 7)
    axes = figure.subplots()
    accuracy, everything = (found.estimates[key] for key in (f"accuracy_in_{axis.name}", "accuracy"))
    all_jets = f"All jets, {100 * everything.value:.1f} %"
    axes.axhline(everything.value, color="0.6", ls="--", lw=1.5, label=all_jets)
    jets, summed = (np.bincount(axis.bin_of(), w, axis.bins) for w in (None, axis.values))
    means = summed / np.maximum(jets, 1)
    widths = (means - axis.edges[:-1], axis.edges[1:] - means)
    _error_bars(axes, means, accuracy, xerr=widths, label="Jets in bins, intervals of 68 %")
    axes.set(xlabel=axis.title + (f" [{axis.unit}]" if axis.unit else ""), ylabel="Accuracy")
    axes.set_xlim(axis.edges[0], axis.edges[-1])
    axes.margins(y=0.25)
    axes.legend(title=title, loc="best")
    return figure


def _error_bars(axes: Any, x: Any, estimate: Estimate, **more: Any) -> None:
    axes.errorbar(x, estimate.value, fmt="o", color=_ONE, ms=6, lw=1.8, **more)
    # not as lengths from the value, since an interval of few resamples may lie beside it
    axes.vlines(x, estimate.low, estimate.high, color=_ONE, lw=1.8)
