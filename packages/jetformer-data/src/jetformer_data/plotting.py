"""Pictures of the distributions, in the style of the field."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from jetformer_data.distributions import Distributions, Histogram, distributions
from jetformer_data.errors import DataError
from jetformer_data.extras import require


def plot(path: str | os.PathLike[str], out: str | os.PathLike[str]) -> list[Path]:
    """Draw jet mass, pt, multiplicity and a jet image a class as PNG files in folder `out`; returns their paths."""
    matplotlib, mplhep = require("matplotlib", "plot"), require("mplhep", "plot")
    matplotlib.use("Agg")
    pyplot = require("matplotlib.pyplot", "plot")
    shown, folder = distributions(path), Path(out)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{folder}: cannot be used as a folder for plots ({error.strerror})") from error
    written = []
    with pyplot.style.context(mplhep.style.CMS):
        for name, histogram in shown.histograms.items():
            figure, axes = pyplot.subplots(figsize=(10, 8), layout="constrained")
            _draw_histogram(axes, mplhep, histogram, shown.class_names)
            written.append(_save(pyplot, figure, folder / f"{name}.png"))
        figure = _draw_images(pyplot, shown)
        written.append(_save(pyplot, figure, folder / "jet_images.png"))
    return written


def _draw_histogram(axes: Any, mplhep: Any, histogram: Histogram, class_names: tuple[str, ...]) -> None:
    width = histogram.edges[1] - histogram.edges[0]
    for density, counts, name in zip(histogram.density(), histogram.counts, class_names, strict=True):
        if counts.sum():
            mplhep.histplot(
                density, histogram.edges, yerr=False, ax=axes, label=name, histtype="step", linewidth=2.5
            )
            middles = (histogram.edges[1:] + histogram.edges[:-1]) / 2
            error = np.sqrt(counts) / counts.sum()
            axes.errorbar(
                middles, density, error, fmt="none", ecolor=axes.patches[-1].get_edgecolor(), alpha=0.5
            )
    unit = f" [{histogram.unit}]" if histogram.unit else ""
    axes.set_xlabel(f"{histogram.title}{unit}")
    axes.set_ylabel(f"Share of jets / {width:.3g}{' ' + histogram.unit if histogram.unit else ''}")
    axes.set_xlim(histogram.edges[0], histogram.edges[-1])
    axes.set_ylim(0, 1.3 * max(1e-9, histogram.density().max()))
    axes.legend(
        title="Jets from", ncols=len(class_names), loc="upper center", columnspacing=1.0, handlelength=1.2
    )


def _draw_images(pyplot: Any, shown: Distributions) -> Any:
    columns = len(shown.class_names)
    figure, row = pyplot.subplots(
        1, columns, figsize=(5 * columns, 6.2), layout="constrained", squeeze=False, sharey=True
    )
    floor = 1e-3
    scale = require("matplotlib.colors", "plot").LogNorm(floor, max(10 * floor, shown.images.max()))
    edges = shown.image_edges
    for axes, image, name in zip(row[0], shown.images, shown.class_names, strict=True):
        # Pixels below the scale take its lowest colour instead of the colour of the page.
        drawn = axes.pcolormesh(
            edges, edges, np.maximum(image, floor).T, norm=scale, cmap="viridis", rasterized=True
        )
        axes.set_title(f"{name} jets", pad=14)
        axes.set_xlabel(r"$\eta - \eta_{jet}$")
        axes.set_aspect("equal")
        axes.set_xticks([-0.3, 0, 0.3])
    row[0][0].set_ylabel(r"$\phi - \phi_{jet}$ [rad]")
    figure.colorbar(drawn, ax=row[0], label="Mean pt a jet and pixel [GeV]", pad=0.01)
    return figure


def _save(pyplot: Any, figure: Any, path: Path) -> Path:
    figure.savefig(path, dpi=100)
    pyplot.close(figure)
    return path
