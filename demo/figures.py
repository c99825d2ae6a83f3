"""The pictures of the report, as SVG that stands in the page itself."""

from __future__ import annotations

import io

import matplotlib as mpl
import matplotlib.pyplot as plt
import mplhep
import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from numpy.typing import NDArray

from jetformer_data.distributions import Distributions
from jetformer_model.metrics import SIGNAL_EFFICIENCY
from results import Results

# Okabe and Ito's colours, told apart by colour-blind readers too.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00")
NAMES = {"float": "float", "pruned": "pruned", "fixed_point": "fixed point", "firmware": "firmware"}
STYLE = {
    "font.size": 11,
    "font.family": "DejaVu Sans",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 12,
    "legend.frameon": False,
    "svg.fonttype": "path",
}
mpl.use("Agg")
mpl.rcParams.update(STYLE)


def jet_distributions(seen: Distributions) -> str:
    """Mass, pt and number of constituents of the jets of each class."""
    figure, axes = _figure(1, 3, 3.4)
    for axis, histogram in zip(axes, seen.histograms.values(), strict=True):
        for colour, shares in zip(COLOURS, histogram.density(), strict=False):
            mplhep.histplot(shares, histogram.edges, ax=axis, color=colour, linewidth=1.6)
        unit = f" [{histogram.unit}]" if histogram.unit else ""
        axis.set(
            xlabel=histogram.title + unit, ylim=(0, None), xlim=(histogram.edges[0], histogram.edges[-1])
        )
    axes[0].set_ylabel("share of the class")
    lines = [mpl.lines.Line2D([], [], color=colour, linewidth=2) for colour in COLOURS]
    figure.legend(lines, seen.class_names, loc="outside upper center", ncols=len(lines), frameon=False)
    return _svg(figure)


def jet_images(seen: Distributions) -> str:
    """Where the transverse momentum of an average jet of each class lies around its axis."""
    figure, axes = _figure(1, len(seen.class_names), 2.5)
    edges = seen.image_edges
    for axis, name, image in zip(axes, seen.class_names, seen.images, strict=True):
        picture = axis.imshow(
            image.T, origin="lower", extent=(edges[0], edges[-1]) * 2, norm=LogNorm(1e-3, 300), cmap="viridis"
        )
        axis.set(title=name, xlabel="Δη", xticks=(-0.4, 0, 0.4), yticks=(-0.4, 0, 0.4))
        axis.spines[:].set_visible(False)
    axes[0].set_ylabel("Δφ")
    figure.colorbar(picture, ax=axes, label="GeV a pixel", fraction=0.012, pad=0.01)
    return _svg(figure)


def training_curves(results: Results) -> str:
    """Loss and accuracy in each epoch of the three trainings."""
    figure, (losses, accuracies) = _figure(1, 2, 3.2)
    start = 0
    for colour, (name, history) in zip(COLOURS, results.histories.items(), strict=False):
        epochs = start + np.arange(1, len(history) + 1)
        losses.plot(epochs, [line["training_loss"] for line in history], ":", color=colour)
        losses.plot(epochs, [line["validation_loss"] for line in history], color=colour, label=NAMES[name])
        accuracies.plot(epochs, [100 * line["validation_accuracy"] for line in history], color=colour)
        start = epochs[-1]
    losses.set(xlabel="epoch", ylabel="cross-entropy")
    losses.plot([], [], ":", color="grey", label="training split")
    losses.plot([], [], "-", color="grey", label="validation split")
    losses.legend(ncols=2)
    accuracies.set(xlabel="epoch", ylabel="validation accuracy [%]")
    return _svg(figure)


def roc_curves(results: Results) -> str:
    """Background rejection against signal efficiency, each class against the rest, as the firmware answers."""
    figure, (axis, rejection) = _figure(1, 2, 3.6)
    for colour, (name, curve) in zip(COLOURS, results.curves.items(), strict=True):
        axis.plot(
            curve.background_efficiency,
            curve.signal_efficiency,
            color=colour,
            label=f"{name}  {curve.auc:.3f}",
        )
        passing = curve.background_efficiency > 0
        rejection.plot(
            curve.signal_efficiency[passing], 1 / curve.background_efficiency[passing], color=colour
        )
    axis.plot((0, 1), (0, 1), color="lightgrey", zorder=0)
    axis.set(xlabel="background efficiency", ylabel="signal efficiency", xlim=(0, 1), ylim=(0, 1))
    axis.legend(title="class  AUC", loc="lower right")
    rejection.axvline(SIGNAL_EFFICIENCY, color="lightgrey", zorder=0)
    rejection.set(
        xlabel="signal efficiency", ylabel="background rejection", yscale="log", xlim=(0.1, 1), ylim=(1, None)
    )
    return _svg(figure)


def accuracies(results: Results) -> str:
    """Test accuracy of the four forms of the network, with binomial errors."""
    figure, (axis,) = _figure(1, 1, 2.2)
    networks = results.networks
    for place, (name, colour) in enumerate(zip(networks, COLOURS, strict=False)):
        accuracy, error = 100 * networks[name]["accuracy"], 100 * networks[name]["accuracy_error"]
        axis.errorbar(accuracy, -place, xerr=error, fmt="o", color=colour, capsize=4, markersize=8)
        axis.annotate(
            f"{accuracy:.2f} ± {error:.2f} %",
            (accuracy, -place),
            (0, 9),
            textcoords="offset points",
            ha="center",
        )
    axis.set(
        yticks=-np.arange(len(networks)),
        yticklabels=[NAMES[name] for name in networks],
        ylim=(-len(networks) + 0.5, 0.8),
    )
    axis.set_xlabel("test accuracy [%]")
    axis.margins(x=0.4)
    return _svg(figure)


def _figure(rows: int, columns: int, height: float) -> tuple[Figure, NDArray[np.object_]]:
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(
            rows, columns, figsize=(10.5, height), layout="constrained", squeeze=False
        )
    return figure, axes.ravel()


def _svg(figure: Figure) -> str:
    page = io.StringIO()
    figure.savefig(page, format="svg", metadata={"Date": None, "Creator": None})
    plt.close(figure)
    return page.getvalue()[page.getvalue().index("<svg") :]
