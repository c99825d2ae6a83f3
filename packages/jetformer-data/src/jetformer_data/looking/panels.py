"""Histograms drawn: classes over one another, or two files and their ratio in a panel each."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from jetformer_data.distributions import Distributions
from jetformer_data.extras import require
from jetformer_data.histograms import Histogram, ratio

# Petroff's ten colours (arXiv:2107.02270), which CMS recommends: told apart by colour-blind readers too.
COLOURS = (
    *("#3f90da", "#ffa90e", "#bd1f01", "#832db6", "#94a4a2"),
    *("#a96b59", "#e76300", "#b9ac70", "#717581", "#92dadd"),
)
_FIRST, _SECOND = "#3f90da", "#1a1a1a"
COLUMNS = 5  # panels in a row
_MOST_BANDS = 5  # classes with an error band each, before they hide one another


def draw_overlay(histogram: Histogram, seen: Distributions, classes: Sequence[int], label: str) -> Any:
    """One histogram of one file, a line a class."""
    figure = require("matplotlib.figure", "plot").Figure(figsize=(9, 7), layout="constrained")
    axes = figure.subplots()
    _overlay(axes, histogram, seen, classes)
    _name_axes(axes, histogram)
    axes.set_ylim(0, 1.05 * max(1e-9, (histogram.density() + histogram.error())[list(classes)].max()))
    _legend(figure, axes, label, len(classes))
    return figure


def _overlay(axes: Any, histogram: Histogram, seen: Distributions, classes: Sequence[int]) -> None:
    density, error = histogram.density(), histogram.error()
    for colour, k in zip(itertools.cycle(COLOURS), classes, strict=False):
        axes.stairs(
            density[k], histogram.edges, color=colour, linewidth=2, label=seen.class_names[k], baseline=None
        )
        if len(classes) <= _MOST_BANDS:
            _band(axes, density[k] - error[k], density[k] + error[k], histogram.edges, colour)


def _band(axes: Any, low: Any, high: Any, edges: Any, colour: str) -> None:
    axes.fill_between(
        edges, *(np.append(v, v[-1]) for v in (low, high)), step="post", color=colour, alpha=0.25, linewidth=0
    )


def draw_features(seen: Distributions, label: str, classes: Sequence[int]) -> Any:
    figure, grid = _grid(len(seen.features))
    for axes, histogram in zip(grid, seen.features.values(), strict=False):
        _overlay(axes, histogram, seen, classes)
        _name_axes(axes, histogram, only_x=True)
        _scale(axes, histogram.density()[list(classes)])
    for axes in grid[::COLUMNS]:
        axes.set_ylabel("Share of constituents")
    _head(figure, grid[0], label, min(len(classes), 4 * min(len(grid), COLUMNS)))
    return figure


Panel = tuple[str, Histogram, Histogram, int, int]


def draw_panels(
    panels: Sequence[Panel],
    labels: tuple[str, str],
    shared: Histogram | None = None,
    title: str | None = None,
) -> Any:
    """Two histograms and their ratio a panel. `shared`: all panels show this quantity, one class each."""
    figure, grid = _grid(len(panels), with_ratios=True, share_y=shared is not None)
    ticker = require("matplotlib.ticker", "plot")
    highest = max(
        max((f.density() + f.error())[i].max(), (s.density() + s.error())[j].max())
        for _, f, s, i, j in panels
    )
    in_words = f"{labels[1]} / {labels[0]}"
    for k, ((name, first, second, i, j), (above, below)) in enumerate(zip(panels, grid, strict=False)):
        a, b = first.density()[i], second.density()[j]
        above.stairs(a, first.edges, color=_FIRST, fill=True, alpha=0.35, label=labels[0])
        above.stairs(a, first.edges, color=_FIRST, linewidth=1.5, baseline=None)
        _band(above, a - first.error()[i], a + first.error()[i], first.edges, _FIRST)
        middles = (first.edges[1:] + first.edges[:-1]) / 2
        above.errorbar(
            middles,
            np.where(b > 0, b, np.nan),
            second.error()[j],
            fmt="o",
            color=_SECOND,
            ms=3.5,
            lw=1.2,
            label=labels[1],
        )
        if shared is None:
            _scale(above, np.stack([a, b]))
        else:
            above.set_ylim(0, 1.08 * highest)
            below.xaxis.set_major_locator(ticker.MaxNLocator(4, steps=(1, 2, 2.5, 5, 10), prune="upper"))
        _draw_ratio(below, first, second, i, j)
        _name_axes(below, first, only_x=True)
        above.tick_params(labelbottom=False)
        if shared is not None:
            above.set_title(name, pad=8)
        if k % COLUMNS == 0:
            above.set_ylabel(_share(shared) if shared is not None else "Share of constituents")
            below.set_ylabel(in_words if len(in_words) < 20 else "Ratio", fontsize=12)
        elif shared is not None:
            below.tick_params(labelleft=False)
    _head(figure, grid[0][0], title, 2)
    figure.align_ylabels([axes for pair in grid[::COLUMNS] for axes in pair])
    return figure


def _draw_ratio(axes: Any, first: Histogram, second: Histogram, i: int, j: int) -> None:
    """Second over first. The band is the error of the first, the bars are those of the second, each on its own."""
    value, _ = ratio(second, first, j, i)
    a, b = first.density()[i], second.density()[j]
    with np.errstate(all="ignore"):
        a_error, b_error = first.error()[i] / a, value * second.error()[j] / b
    _band(axes, 1 - a_error, 1 + a_error, first.edges, _FIRST)
    axes.axhline(1, color=_FIRST, linewidth=1.2)
    middles = (first.edges[1:] + first.edges[:-1]) / 2
    axes.errorbar(middles, value, b_error, fmt="o", color=_SECOND, ms=3.5, lw=1.2)
    axes.set_ylim(0.45, 1.55)
    axes.set_yticks([0.5, 1, 1.5])
    # What lies beyond the panel is marked at its edge.
    for marker, beyond, y in (("^", value > 1.55, 1.52), ("v", value < 0.45, 0.48)):
        axes.plot(middles[beyond], np.full(beyond.sum(), y), marker, color=_SECOND, ms=4, clip_on=False)


def _grid(count: int, with_ratios: bool = False, share_y: bool = False) -> tuple[Any, list[Any]]:
    """A figure with `count` axes, or pairs of axes for a quantity and its ratio, `COLUMNS` a row.

    Measured in inches: Matplotlib's own layouts give up on this many axes with their ticks and names.
    """
    columns = min(count, COLUMNS)
    rows = -(-count // columns)
    width, height, gap_x, gap_y = 3.6, 4.4 if with_ratios else 3.2, 0.2 if share_y else 0.95, 1.1
    left, right, top, bottom = 1.25, 0.3, 1.0, 0.9
    total = (
        left + columns * width + (columns - 1) * gap_x + right,
        bottom + rows * height + (rows - 1) * gap_y + top,
    )
    figure = require("matplotlib.figure", "plot").Figure(figsize=total)

    def axes_at(x: float, y: float, high: float, **shared: Any) -> Any:
        return figure.add_axes((x / total[0], y / total[1], width / total[0], high / total[1]), **shared)

    made: list[Any] = []
    for k in range(count):
        row, column = divmod(k, columns)
        x, y = left + column * (width + gap_x), bottom + (rows - 1 - row) * (height + gap_y)
        if not with_ratios:
            made.append(axes_at(x, y, height))
            continue
        first = made[k - column][0] if share_y and column else None
        above = axes_at(x, y + 0.27 * height, 0.73 * height, sharey=first)
        made.append((above, axes_at(x, y, 0.24 * height, sharex=above)))
        if first is not None:
            above.tick_params(labelleft=False)
    return figure, made


def _head(figure: Any, axes: Any, title: str | None, columns: int) -> None:
    """The legend of the first axes in the middle above all."""
    handles, names = axes.get_legend_handles_labels()
    figure.legend(
        handles,
        names,
        title=title,
        loc="upper center",
        bbox_to_anchor=(0.5, 1 - 0.08 / figure.get_figheight()),
        ncols=columns,
        handlelength=1.3,
        borderaxespad=0,
    )


def _name_axes(axes: Any, histogram: Histogram, only_x: bool = False) -> None:
    axes.set_xlabel(histogram.title + (f" [{histogram.unit}]" if histogram.unit not in ("", "1") else ""))
    axes.set_xlim(histogram.edges[0], histogram.edges[-1])
    if not only_x:
        axes.set_ylabel(_share(histogram))


def _share(histogram: Histogram) -> str:
    width = histogram.edges[1] - histogram.edges[0]
    return f"Share of {histogram.entry} / {width:.3g}{' ' + histogram.unit if histogram.unit else ''}"


def _scale(axes: Any, density: Any) -> None:
    """Logarithmic where a peak would hide the rest."""
    filled = density[density > 0]
    small = filled if density.shape[-1] <= 5 else np.median(filled) if len(filled) else 1
    if len(filled) and filled.max() > 30 * np.min(small):
        axes.set_yscale("log")
        axes.set_ylim(max(filled.min(), 1e-6 * filled.max()) / 2, 3 * filled.max())
    else:
        axes.set_ylim(0, 1.15 * max(1e-9, density.max()))


def _legend(figure: Any, axes: Any, label: str, classes: int) -> None:
    handles, names = axes.get_legend_handles_labels()
    figure.legend(
        handles, names, title=label, loc="outside upper center", ncols=min(classes, 5), handlelength=1.3
    )
