"""Hypervolume against trials, a line and a band for each sampler."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np

from jetformer_data.looking.panels import COLOURS
from jetformer_data.plotting import style
from jetformer_hpo.extras import require
from jetformer_hpo.sampler_comparison import Comparison

LINES = ("-", "--", "-.", ":")


def draw_comparison(comparison: Comparison, path: Path) -> None:
    """Medians over the seeds, bands from 16 % to 84 % of them; the line on top is the whole table's hypervolume."""
    for module in ("matplotlib", "mplhep"):
        require(module, "plot")
    with style():
        figure = require("matplotlib.figure", "plot").Figure(figsize=(11, 8), layout="constrained")
        axes = figure.subplots()
        trials = np.arange(1, comparison.trials + 1)
        for name, colour, line in zip(
            comparison.curves, itertools.cycle(COLOURS), itertools.cycle(LINES), strict=False
        ):
            low, median, high = comparison.bands(name)
            seeds = len(comparison.curves[name])
            label = f"{name} ({seeds} seed{'s' if seeds > 1 else ''})"
            axes.plot(trials, median, color=colour, linestyle=line, linewidth=2.5, label=label)
            axes.fill_between(trials, low, high, color=colour, alpha=0.18, linewidth=0)
        axes.axhline(
            comparison.highest,
            color="black",
            linewidth=1,
            linestyle=(0, (1, 3)),
            label="all points of the table",
        )
        axes.set_xlabel("Trials (different points)")
        axes.set_ylabel("Hypervolume above (0, 0)")
        axes.set_xlim(0, comparison.trials)
        axes.set_ylim(_lowest(comparison), None)
        axes.grid(alpha=0.3)
        axes.legend(
            loc="lower right", frameon=False, title="Median, band 16 to 84 % of seeds", title_fontsize=15
        )
        axes.text(
            0.98, 1.01, _scales(comparison), transform=axes.transAxes, ha="right", va="bottom", fontsize=13
        )
        figure.savefig(path, dpi=100)


def _lowest(comparison: Comparison) -> float:
    """Lets the first few trials fall out of the picture: they are random, and would press the rest together."""
    after = min(10, comparison.trials) - 1
    lowest = min(comparison.bands(name)[0, after] for name in comparison.curves)
    return float(min(lowest, 0.98 * comparison.highest))


def _scales(comparison: Comparison) -> str:
    constraints = [str(constraint) for constraint in comparison.problem.constraints]
    scales = [f"{name} {scale}" for name, scale in comparison.problem.scales.items()]
    return ";  ".join([*scales, *constraints])
