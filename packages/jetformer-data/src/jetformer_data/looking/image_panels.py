"""Jet images, class beside class: of one file, or of two files and their ratio."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jetformer_data.distributions import Distributions
from jetformer_data.extras import require
from jetformer_data.looking.pairs import Pair
from jetformer_data.looking.panels import COLUMNS

_LABEL = "Mean $p_T$ a jet and pixel [GeV]"
_FAINTEST = 1e-3  # GeV
_MIN_ENTRIES = 10  # constituents in a pixel, so that a ratio of two means something


def draw_images(seen: Distributions, classes: Sequence[int], label: str) -> Any:
    """Images of one file, `COLUMNS` a row."""
    columns = min(len(classes), COLUMNS)
    figure, grid = _grid(-(-len(classes) // columns), columns)
    drawn = _fill_row(grid.flat, seen.images[list(classes)], seen.image_edges, _scale([seen.images]))
    for axes, k in zip(grid.flat, classes, strict=False):
        axes.set_title(seen.class_names[k], pad=8)
    for axes in grid.flat[len(classes) :]:
        axes.set_axis_off()
    figure.suptitle(label, fontsize=18)
    figure.colorbar(drawn, ax=grid, label=_LABEL, pad=0.01, aspect=14 * len(grid))
    _name_axes(grid, seen.image_edges)
    return figure


def draw_images_of_pair(pair: Pair) -> Any:
    """A row of images a file, and one with their ratio."""
    seen = (pair.first, pair.second)
    chosen = ([i for _, i, _ in pair.classes], [j for _, _, j in pair.classes])
    figure, grid = _grid(3, len(pair.classes))
    scale = _scale([s.images[k] for s, k in zip(seen, chosen, strict=True)])
    for row, file, classes, label in zip(grid, seen, chosen, pair.labels, strict=False):
        drawn = _fill_row(row, file.images[classes], file.image_edges, scale)
        _row_label(row[0], label)
    figure.colorbar(drawn, ax=grid[:2], label=_LABEL, pad=0.01, aspect=28)
    drawn = _fill_ratios(grid[2], seen, chosen)
    _row_label(grid[2][0], f"{pair.labels[1]} / {pair.labels[0]}")
    bar = figure.colorbar(drawn, ax=grid[2:], label="Ratio", pad=0.01, aspect=14)
    bar.set_ticks([0.5, 1, 2], labels=["0.5", "1", "2"])
    bar.ax.minorticks_off()
    for axes, (name, _, _) in zip(grid[0], pair.classes, strict=True):
        axes.set_title(name, pad=8)
    _name_axes(grid, pair.first.image_edges)
    return figure


def _grid(rows: int, columns: int) -> tuple[Any, Any]:
    size = (3.4 * columns + 1.6, 3.4 * rows + 0.8)
    figure = require("matplotlib.figure", "plot").Figure(figsize=size, layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)


def _scale(images: Sequence[NDArray[Any]]) -> Any:
    most = max(10 * _FAINTEST, *(float(i.max()) for i in images))
    return require("matplotlib.colors", "plot").LogNorm(_FAINTEST, most)


def _fill_row(row: Any, images: NDArray[Any], edges: NDArray[Any], scale: Any) -> Any:
    for axes, image in zip(row, images, strict=False):
        # Pixels below the scale take its lowest colour instead of the colour of the page.
        drawn = axes.pcolormesh(
            edges, edges, np.maximum(image, _FAINTEST).T, norm=scale, cmap="viridis", rasterized=True
        )
    return drawn


def _name_axes(grid: Any, edges: NDArray[Any]) -> None:
    half = edges[-1]
    for axes in grid.flat:
        axes.set_aspect("equal")
        axes.set_xticks([-half / 2, 0, half / 2])
        axes.set_yticks([-half / 2, 0, half / 2])
        axes.minorticks_off()
    for axes in grid[-1]:
        axes.set_xlabel(r"$\Delta\eta$")
    for axes in grid[:, 0]:
        axes.set_ylabel(r"$\Delta\phi$ [rad]")


def _fill_ratios(row: Any, seen: Sequence[Distributions], chosen: Sequence[list[int]]) -> Any:
    """The second over the first in squares of four pixels, grey where either has few constituents."""
    colours = require("matplotlib.colors", "plot")
    group = 2 if seen[0].images.shape[-1] % 2 == 0 else 1
    entries = [_merged(s.image_entries[k], group) for s, k in zip(seen, chosen, strict=True)]
    first, second = (_merged(s.images[k], group) for s, k in zip(seen, chosen, strict=True))
    edges = seen[0].image_edges[::group]
    is_filled = (entries[0] >= _MIN_ENTRIES) & (entries[1] >= _MIN_ENTRIES)
    ratios = np.where(is_filled, second / np.where(is_filled, first, 1), np.nan)
    for axes, image in zip(row, ratios, strict=True):
        axes.set_facecolor("0.9")
        drawn = axes.pcolormesh(
            edges, edges, image.T, norm=colours.LogNorm(0.5, 2), cmap="RdBu_r", rasterized=True
        )
    return drawn


def _merged(images: NDArray[Any], group: int) -> NDArray[Any]:
    """Sums of squares of `group` x `group` pixels."""
    count, pixels, _ = images.shape
    merged: NDArray[Any] = images.reshape(count, pixels // group, group, pixels // group, group).sum(
        axis=(2, 4)
    )
    return merged


def _row_label(axes: Any, text: str) -> None:
    axes.annotate(
        text, (-0.42, 0.5), xycoords="axes fraction", rotation=90, ha="right", va="center", fontweight="bold"
    )
