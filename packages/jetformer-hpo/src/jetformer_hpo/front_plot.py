"""The front in a picture: the first objective against the second."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jetformer_data.looking.panels import COLOURS
from jetformer_data.plotting import style
from jetformer_hpo.errors import SearchError
from jetformer_hpo.extras import require
from jetformer_hpo.findings import Findings
from jetformer_hpo.front import Candidate, Goal

LABELS = {
    "accuracy": "Validation accuracy (%)",
    "auc": "AUC, mean over classes (%)",
    "flops": "FLOPs a jet (1 multiply-accumulate = 1)",
    "parameters": "Parameters",
    "latency_us": "Latency of one jet on this machine (µs)",
    "luts": "LUT (estimate)",
    "latency_cycles": "Latency (clock cycles)",
}
PERCENT = ("accuracy", "auc")


def draw_front(found: Findings, path: Path) -> None:
    """Pareto set, dominated and infeasible candidates apart; means and errors of other seeds where there are any."""
    for module in ("matplotlib", "mplhep"):
        require(module, "plot")
    y, x = found.goals[0], found.goals[1] if len(found.goals) > 1 else None
    front = found.front
    kinds: dict[str, list[Candidate]] = {"infeasible": [], "dominated": [], "pareto": []}
    for candidate in found.candidates:
        kinds[found.kind(candidate, front)].append(candidate)
    with style():
        figure = require("matplotlib.figure", "plot").Figure(figsize=(11, 8), layout="constrained")
        axes = figure.subplots()
        _draw(axes, kinds["infeasible"], x, y, marker="x", color="0.55", ms=8, label="Infeasible")
        _draw(
            axes, kinds["dominated"], x, y, marker="o", color=COLOURS[0], mfc="none", ms=8, label="Dominated"
        )
        _draw(axes, front, x, y, marker="o", color=COLOURS[1], ms=10, label="Pareto front")
        if x is not None:
            _draw_border(axes, front, x, y)
        _draw_confirmed(axes, front, x, y)
        _draw_bounds(axes, found, x, y)
        _finish(axes, found, x, y)
        try:
            figure.savefig(path, dpi=100)
        except (OSError, ValueError) as error:
            raise SearchError(f"{path}: cannot be written ({error})") from error


def _values(candidates: Sequence[Candidate], goal: Goal | None) -> Any:
    """[candidates] as drawn; the numbers of the trials where there is no second objective."""
    if goal is None:
        return np.array([candidate.trial for candidate in candidates])
    return _scale(goal.name) * np.array([candidate.measured[goal.name] for candidate in candidates])


def _scale(name: str) -> float:
    return 100 if name in PERCENT else 1


def _draw(axes: Any, candidates: Sequence[Candidate], x: Goal | None, y: Goal, **more: Any) -> None:
    if candidates:
        more["label"] = f"{more['label']} ({len(candidates)})"
        axes.plot(_values(candidates, x), _values(candidates, y), ls="none", mew=1.6, **more)


def _draw_border(axes: Any, front: Sequence[Candidate], x: Goal, y: Goal) -> None:
    """What the front reaches: the best of y among those no worse in x. Other objectives may hold members off it."""
    xs, ys = _values(front, x), _values(front, y)
    order = np.argsort(x.sign * xs, kind="stable")
    best = (np.minimum if not y.maximise else np.maximum).accumulate(ys[order])
    axes.step(xs[order], best, where="post", color=COLOURS[1], lw=1.8, alpha=0.6)


def _draw_confirmed(axes: Any, front: Sequence[Candidate], x: Goal | None, y: Goal) -> None:
    repeated = [(candidate, again) for candidate in front if (again := candidate.again(y.name)) is not None]
    if not repeated:
        return
    errors = [0.0 if math.isnan(again.error) else again.error for _, again in repeated]
    seeds = max(len(again.values) for _, again in repeated)
    axes.errorbar(
        _values([candidate for candidate, _ in repeated], x),
        _scale(y.name) * np.array([again.mean for _, again in repeated]),
        _scale(y.name) * np.array(errors),
        fmt="D",
        ms=7,
        capsize=4,
        lw=1.8,
        color="black",
        label=f"Mean of {seeds} other seeds, with its error",
    )


def _draw_bounds(axes: Any, found: Findings, x: Goal | None, y: Goal) -> None:
    for constraint in found.constraints:
        at = _scale(constraint.quantity) * constraint.bound
        if constraint.quantity == y.name:
            axes.axhline(at, color="0.3", ls="--", lw=1.2, label=str(constraint))
        elif x is not None and constraint.quantity == x.name:
            axes.axvline(at, color="0.3", ls="--", lw=1.2, label=str(constraint))


def _finish(axes: Any, found: Findings, x: Goal | None, y: Goal) -> None:
    for goal, values, scale in (
        (x, _values(found.candidates, x), axes.set_xscale),
        (y, _values(found.candidates, y), axes.set_yscale),
    ):
        if goal is not None and not goal.maximise and (values > 0).all() and values.max() > 3 * values.min():
            scale("log")
    axes.set_xlabel("Trial" if x is None else LABELS.get(x.name, x.name))
    axes.set_ylabel(LABELS.get(y.name, y.name))
    axes.grid(alpha=0.3)
    axes.margins(0.06)
    axes.legend(loc="best", frameon=True, framealpha=0.9, edgecolor="none")
