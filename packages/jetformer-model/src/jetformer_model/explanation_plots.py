"""Pictures of what a network looks at: attention in the eta-phi plane, importance of features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from jetformer_data.looking.panels import COLOURS
from jetformer_model.explanation import JetAttention
from jetformer_model.importance import Importance
from jetformer_model.plotting import new_figure

_COLUMNS = 5  # panels in a row
_LARGEST, _SMALLEST = (
    600.0,
    25.0,
)  # area of a marker, in square points: of the leading constituent, and so as to be seen
_LEAST_HALF_WIDTH = 0.1


def draw_attention(jets: Sequence[JetAttention], title: str) -> Any:
    """A panel a jet; a marker's area is its constituent's share of the largest pt, its colour the attention that it gets."""
    columns = min(len(jets), _COLUMNS)
    rows = -(-len(jets) // columns)
    figure = new_figure(3.7 * columns + 1.8, 4.0 * rows + 0.8)
    grid = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    most = 100 * max((float(jet.attention.max()) for jet in jets if len(jet.attention)), default=1.0)
    angles = torch.cat([part.abs() for jet in jets for part in (jet.eta, jet.phi)])
    half = max(_LEAST_HALF_WIDTH, 1.15 * float(angles.max()) if len(angles) else 0.0)
    for axes, jet in zip(grid.flat, jets, strict=False):
        drawn = _draw_jet(axes, jet, most)
        axes.set(xlim=(-half, half), ylim=(-half, half), aspect="equal")
        axes.minorticks_off()
    for axes in grid.flat[len(jets) :]:
        axes.set_axis_off()
    for number, axes in enumerate(grid.flat[: len(jets)]):
        if number + columns >= len(jets):
            axes.set_xlabel(r"$\Delta\eta$")
            axes.tick_params(labelbottom=True)
    for axes in grid[:, 0]:
        axes.set_ylabel(r"$\Delta\phi$ [rad]")
    figure.colorbar(drawn, ax=grid, label="Attention of the class token [%]", pad=0.01, aspect=14 * rows)
    figure.suptitle(title, fontsize=18)
    return figure


def _draw_jet(axes: Any, jet: JetAttention, most: float) -> Any:
    order = jet.pt.argsort(descending=True)  # small markers above large ones
    area = (_LARGEST * jet.pt / jet.pt[order][:1]).clamp(min=_SMALLEST)
    drawn = axes.scatter(
        jet.eta[order].numpy(),
        jet.phi[order].numpy(),
        s=area[order].numpy(),
        c=100 * jet.attention[order].numpy(),
        cmap="viridis_r",
        vmin=0,
        vmax=most,
        edgecolors="black",
        linewidths=0.6,
        alpha=0.9,
    )
    axes.set_title(
        f"{jet.label} jet, taken for {jet.prediction} ({100 * jet.probability:.0f} %)", fontsize=14, pad=6
    )
    axes.text(
        0.06, 0.06, f"jet {jet.jet}, on itself {100 * jet.own:.0f} %", transform=axes.transAxes, fontsize=12
    )
    return drawn


def draw_importance(importances: Sequence[Importance], title: str) -> Any:
    """Bars with their errors, the most important feature on top."""
    ordered = sorted(importances, key=lambda one: one.drop)
    figure = new_figure(9, 2.2 + 0.5 * len(ordered))
    axes = figure.subplots()
    axes.barh(
        [one.feature for one in ordered],
        [100 * one.drop for one in ordered],
        xerr=[100 * one.error for one in ordered],
        color=COLOURS[0],
        height=0.65,
        error_kw={"lw": 1.8},
    )
    axes.axvline(0, color="black", lw=1)
    axes.tick_params(axis="y", which="both", length=0)
    axes.minorticks_off()
    axes.set_xlabel("Accuracy lost when permuted [percentage points]")
    axes.set_title(title, pad=10)
    return figure
