"""Accuracy against FLOPs of the taggers of a comparison."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jetformer_data.looking.panels import COLOURS
from jetformer_model.comparison_table import Row
from jetformer_model.plotting import new_figure, style

MARKERS = "osD^vP*X<>"


def draw_comparison(rows: Sequence[Row], path: Path) -> None:
    """A mark for each row; rows of one tagger are joined by a line and named by their number of constituents."""
    with style():
        figure = new_figure(12, 7.5)
        axes = figure.subplots()
        taggers = list(dict.fromkeys(row.tagger for row in rows))
        for tagger, colour, marker in zip(
            taggers, itertools.cycle(COLOURS), itertools.cycle(MARKERS), strict=False
        ):
            _draw_tagger(axes, [row for row in rows if row.tagger == tagger], colour, marker)
        axes.set_xscale("log")
        axes.set_xlabel("FLOPs a jet (1 multiply-accumulate = 1)")
        axes.set_ylabel("Test accuracy (%)")
        axes.grid(alpha=0.3)
        axes.margins(0.08)
        axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)
        figure.savefig(path, dpi=100)


def _draw_tagger(axes: Any, rows: Sequence[Row], colour: str, marker: str) -> None:
    rows = sorted(rows, key=lambda row: row.constituents)
    accuracies = [row.numbers["accuracy"] for row in rows]
    axes.errorbar(
        [row.flops for row in rows],
        [accuracy.value for accuracy in accuracies],
        [accuracy.error for accuracy in accuracies],
        color=colour,
        marker=marker,
        markersize=9,
        linewidth=1.5,
        capsize=3,
        label=rows[0].tagger,
    )
    if len(rows) > 1:
        for row in rows:
            at = (row.flops, row.numbers["accuracy"].value)
            axes.annotate(
                str(row.constituents), at, (7, -15), textcoords="offset points", fontsize=12, color=colour
            )
