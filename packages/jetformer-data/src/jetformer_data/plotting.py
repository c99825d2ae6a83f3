"""Pictures of the distributions, in the style of the field: of one file, or of two laid over each other."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jetformer_data.distributions import Distributions, compare
from jetformer_data.errors import DataError
from jetformer_data.extras import require
from jetformer_data.histograms import Histogram, ratio

FORMATS = ("png", "pdf", "svg")

# Petroff's ten colours (arXiv:2107.02270), which CMS recommends: told apart by colour-blind readers too.
COLOURS = (
    *("#3f90da", "#ffa90e", "#bd1f01", "#832db6", "#94a4a2"),
    *("#a96b59", "#e76300", "#b9ac70", "#717581", "#92dadd"),
)
_FIRST, _SECOND = "#3f90da", "#1a1a1a"
# On top of the style of CMS, which is made for one picture a page.
_STYLE = {
    "font.size": 18,
    "axes.labelsize": 18,
    "axes.titlesize": 18,
    "xtick.labelsize": 15,
    "ytick.labelsize": 15,
    "legend.fontsize": 15,
    "xaxis.labellocation": "center",
    "yaxis.labellocation": "center",
    "axes.linewidth": 1.2,
}
_COLUMNS = 5
_MOST_BANDS = 5  # classes with an error band each, before they hide one another
_IMAGE_LABEL = "Mean $p_T$ a jet and pixel [GeV]"
_FAINTEST = 1e-3  # GeV
_MIN_ENTRIES = 10  # constituents in a pixel, so that a ratio of two means something


@dataclass(frozen=True)
class Pair:
    """Two files over the same edges, their labels, and the classes (name, number in each) that are compared."""

    first: Distributions
    second: Distributions
    labels: tuple[str, str]
    classes: tuple[tuple[str, int, int], ...]


def plot(
    path: str | os.PathLike[str],
    out: str | os.PathLike[str],
    other: str | os.PathLike[str] | None = None,
    labels: Sequence[str] = (),
    features: str | None = "stored",
    classes: Sequence[str] = (),
    jets: int | None = None,
    picture_format: str = "png",
) -> list[Path]:
    """Draw a file, or two laid over each other with their ratios, as files in folder `out`; returns their paths.

    `classes`: only these, in this order; `W=w` where the second file calls it otherwise. `jets`: the first so many.
    """
    for module in ("matplotlib", "mplhep"):
        require(module, "plot")
    if picture_format not in FORMATS:
        raise DataError(f"format '{picture_format}': expected one of {', '.join(FORMATS)}")
    paths = [path] if other is None else [path, other]
    if len(labels) > len(paths):
        raise DataError(f"label '{labels[len(paths)]}': there are only {len(paths)} files to label")
    names = [*labels, *(Path(p).name for p in paths[len(labels) :])]
    seen = compare(paths, features=features, jets=jets)
    if other is None:
        figures = draw(seen[0], names[0], _chosen(seen[0], classes))
    else:
        figures = draw_pair(Pair(seen[0], seen[1], (names[0], names[1]), _common(seen, paths, classes)))
    folder, written = Path(out), []
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{folder}: cannot be used as a folder for plots ({error.strerror})") from error
    with style():
        for name, figure in figures:
            written.append(folder / f"{name}.{picture_format}")
            figure.savefig(written[-1], dpi=100)
    return written


@contextmanager
def style() -> Iterator[None]:
    """The style of CMS, a little smaller."""
    mplhep = require("mplhep", "plot")
    with require("matplotlib.style", "plot").context([mplhep.style.CMS, _STYLE]):
        yield


def draw(seen: Distributions, label: str, classes: Sequence[int]) -> Iterator[tuple[str, Any]]:
    """(name, figure) for each picture of one file, classes overlaid."""
    for name, histogram in seen.histograms.items():
        figure = _figure((9, 7))
        axes = figure.subplots()
        _overlay(axes, histogram, seen, classes)
        _name_axes(axes, histogram)
        axes.set_ylim(0, 1.05 * max(1e-9, (histogram.density() + histogram.error())[list(classes)].max()))
        _legend(figure, axes, label, len(classes))
        yield name, figure
    if seen.features:
        yield "features", _feature_page(seen, label, classes)
    if seen.image_entries.any():
        yield "jet_images", _images(seen, classes, label)


def draw_pair(pair: Pair) -> Iterator[tuple[str, Any]]:
    """(name, figure) for each picture of two files, a panel with its ratio below for each class."""
    for name, histogram in pair.first.histograms.items():
        panels = [
            (class_name, histogram, pair.second.histograms[name], i, j) for class_name, i, j in pair.classes
        ]
        yield name, _panels(panels, pair.labels, shared=histogram)
    for class_name, i, j in pair.classes:
        if pair.first.features:
            panels = [
                (name, histogram, pair.second.features[name], i, j)
                for name, histogram in pair.first.features.items()
            ]
            file_name = re.sub(r"[^\w]+", "_", class_name).strip("_")
            yield f"features_{file_name}", _panels(panels, pair.labels, title=f"{class_name} jets")
    if pair.first.image_entries.any() and pair.second.image_entries.any():
        yield "jet_images", _images_of_pair(pair)


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


def _feature_page(seen: Distributions, label: str, classes: Sequence[int]) -> Any:
    figure, grid = _grid(len(seen.features))
    for axes, histogram in zip(grid, seen.features.values(), strict=False):
        _overlay(axes, histogram, seen, classes)
        _name_axes(axes, histogram, only_x=True)
        _scale(axes, histogram.density()[list(classes)])
    for axes in grid[::_COLUMNS]:
        axes.set_ylabel("Share of constituents")
    _head(figure, grid[0], label, min(len(classes), 4 * min(len(grid), _COLUMNS)))
    return figure


Panel = tuple[str, Histogram, Histogram, int, int]


def _panels(
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
        if k % _COLUMNS == 0:
            above.set_ylabel(_share(shared) if shared is not None else "Share of constituents")
            below.set_ylabel(in_words if len(in_words) < 20 else "Ratio", fontsize=12)
        elif shared is not None:
            below.tick_params(labelleft=False)
    _head(figure, grid[0][0], title, 2)
    figure.align_ylabels([axes for pair in grid[::_COLUMNS] for axes in pair])
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


def _images(seen: Distributions, classes: Sequence[int], label: str) -> Any:
    """Images of one file, `_COLUMNS` a row."""
    columns = min(len(classes), _COLUMNS)
    figure, grid = _image_grid(-(-len(classes) // columns), columns)
    drawn = _draw_images(grid.flat, seen.images[list(classes)], seen.image_edges, _image_scale([seen.images]))
    for axes, k in zip(grid.flat, classes, strict=False):
        axes.set_title(seen.class_names[k], pad=8)
    for axes in grid.flat[len(classes) :]:
        axes.set_axis_off()
    figure.suptitle(label, fontsize=18)
    figure.colorbar(drawn, ax=grid, label=_IMAGE_LABEL, pad=0.01, aspect=14 * len(grid))
    _name_image_axes(grid, seen.image_edges)
    return figure


def _images_of_pair(pair: Pair) -> Any:
    """A row of images a file, and one with their ratio."""
    seen = (pair.first, pair.second)
    chosen = ([i for _, i, _ in pair.classes], [j for _, _, j in pair.classes])
    figure, grid = _image_grid(3, len(pair.classes))
    scale = _image_scale([s.images[k] for s, k in zip(seen, chosen, strict=True)])
    for row, file, classes, label in zip(grid, seen, chosen, pair.labels, strict=False):
        drawn = _draw_images(row, file.images[classes], file.image_edges, scale)
        _row_label(row[0], label)
    figure.colorbar(drawn, ax=grid[:2], label=_IMAGE_LABEL, pad=0.01, aspect=28)
    drawn = _draw_image_ratio(grid[2], seen, chosen)
    _row_label(grid[2][0], f"{pair.labels[1]} / {pair.labels[0]}")
    bar = figure.colorbar(drawn, ax=grid[2:], label="Ratio", pad=0.01, aspect=14)
    bar.set_ticks([0.5, 1, 2], labels=["0.5", "1", "2"])
    bar.ax.minorticks_off()
    for axes, (name, _, _) in zip(grid[0], pair.classes, strict=True):
        axes.set_title(name, pad=8)
    _name_image_axes(grid, pair.first.image_edges)
    return figure


def _image_grid(rows: int, columns: int) -> tuple[Any, Any]:
    figure = _figure((3.4 * columns + 1.6, 3.4 * rows + 0.8))
    return figure, figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)


def _image_scale(images: Sequence[NDArray[Any]]) -> Any:
    most = max(10 * _FAINTEST, *(float(i.max()) for i in images))
    return require("matplotlib.colors", "plot").LogNorm(_FAINTEST, most)


def _draw_images(row: Any, images: NDArray[Any], edges: NDArray[Any], scale: Any) -> Any:
    for axes, image in zip(row, images, strict=False):
        # Pixels below the scale take its lowest colour instead of the colour of the page.
        drawn = axes.pcolormesh(
            edges, edges, np.maximum(image, _FAINTEST).T, norm=scale, cmap="viridis", rasterized=True
        )
    return drawn


def _name_image_axes(grid: Any, edges: NDArray[Any]) -> None:
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


def _draw_image_ratio(row: Any, seen: Sequence[Distributions], chosen: Sequence[list[int]]) -> Any:
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


def _figure(size: tuple[float, float]) -> Any:
    return require("matplotlib.figure", "plot").Figure(figsize=size, layout="constrained")


def _grid(count: int, with_ratios: bool = False, share_y: bool = False) -> tuple[Any, list[Any]]:
    """A figure with `count` axes, or pairs of axes for a quantity and its ratio, `_COLUMNS` a row.

    Measured in inches: Matplotlib's own layouts give up on this many axes with their ticks and names.
    """
    columns = min(count, _COLUMNS)
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


def _largest(jets: NDArray[np.int64]) -> list[int]:
    """The classes with jets, in their order; of more than can be told apart, those with the most."""
    order = np.argsort(-jets, kind="stable")[: len(COLOURS)]
    return sorted(int(k) for k in order if jets[k])


def _chosen(seen: Distributions, classes: Sequence[str]) -> list[int]:
    if not classes:
        return _largest(seen.jets)
    names = [name.partition("=")[0] for name in classes]
    missing = [name for name in names if name not in seen.class_names]
    if missing:
        raise DataError(
            f"class '{missing[0]}': not among the classes of the file ({', '.join(seen.class_names)})"
        )
    return [seen.class_names.index(name) for name in names]


def _common(
    seen: Sequence[Distributions], paths: Sequence[Any], classes: Sequence[str]
) -> tuple[tuple[str, int, int], ...]:
    first, second = seen
    if not classes:
        there = dict(zip(second.class_names, second.jets, strict=True))
        in_both = [min(n, there.get(name, 0)) for name, n in zip(first.class_names, first.jets, strict=True)]
        classes = [first.class_names[k] for k in _largest(np.array(in_both))]
    if not classes:
        held = [", ".join(n for n, j in zip(s.class_names, s.jets, strict=True) if j) for s in seen]
        raise DataError(
            f"{paths[0]} holds {held[0]}, {paths[1]} holds {held[1]}: no class has jets in both; "
            "say which belong together with --classes A=B"
        )
    pairs = [(name.partition("=")[0], name.partition("=")[2] or name) for name in classes]
    _chosen(first, [a for a, _ in pairs])
    _chosen(second, [b for _, b in pairs])
    return tuple(
        (a if a == b else f"{a} / {b}", first.class_names.index(a), second.class_names.index(b))
        for a, b in pairs
    )
