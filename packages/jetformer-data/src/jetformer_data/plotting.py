"""Pictures of the distributions, in the style of the field: of one file, or of two laid over each other."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from jetformer_data.distributions import Distributions, compare
from jetformer_data.errors import DataError
from jetformer_data.extras import require
from jetformer_data.looking.image_panels import draw_images, draw_images_of_pair
from jetformer_data.looking.pairs import Pair, choose_classes, pair_up
from jetformer_data.looking.panels import draw_features, draw_overlay, draw_panels

FORMATS = ("png", "pdf", "svg")

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
        figures = draw(seen[0], names[0], choose_classes(seen[0], classes))
    else:
        figures = draw_pair(pair_up(seen, paths, (names[0], names[1]), classes))
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
        yield name, draw_overlay(histogram, seen, classes, label)
    if seen.features:
        yield "features", draw_features(seen, label, classes)
    if seen.image_entries.any():
        yield "jet_images", draw_images(seen, classes, label)


def draw_pair(pair: Pair) -> Iterator[tuple[str, Any]]:
    """(name, figure) for each picture of two files, a panel with its ratio below for each class."""
    for name, histogram in pair.first.histograms.items():
        panels = [
            (class_name, histogram, pair.second.histograms[name], i, j) for class_name, i, j in pair.classes
        ]
        yield name, draw_panels(panels, pair.labels, shared=histogram)
    for class_name, i, j in pair.classes:
        if pair.first.features:
            panels = [
                (name, histogram, pair.second.features[name], i, j)
                for name, histogram in pair.first.features.items()
            ]
            file_name = re.sub(r"[^\w]+", "_", class_name).strip("_")
            yield f"features_{file_name}", draw_panels(panels, pair.labels, title=f"{class_name} jets")
    if pair.first.image_entries.any() and pair.second.image_entries.any():
        yield "jet_images", draw_images_of_pair(pair)
