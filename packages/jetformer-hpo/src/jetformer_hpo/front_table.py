"""A front as rows: for a terminal, as CSV, as LaTeX, as JSON."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from jetformer_hpo.findings import Findings
from jetformer_hpo.front import Candidate, Repeated
from jetformer_model.booktabs import booktabs

SHARES = ("accuracy", "auc")  # shown in percent
Cells = list[str]


def as_json(found: Findings) -> dict[str, Any]:
    """Front and all candidates, with all digits."""
    front, optimism = found.front, found.optimism()
    return {
        "objectives": {goal.name: "maximize" if goal.maximise else "minimize" for goal in found.goals},
        "constraints": [str(constraint) for constraint in found.constraints],
        "front": [one.trial for one in front],
        "optimism": None if optimism is None else _mean(optimism),
        "candidates": [
            {
                "trial": one.trial,
                "kind": found.kind(one, front),
                "settings": dict(one.settings),
                "measured": dict(one.measured),
                "confirmed": {
                    goal.name: _mean(again)
                    for goal in found.goals
                    if (again := one.again(goal.name)) is not None
                },
            }
            for one in found.candidates
        ],
    }


def _mean(repeated: Repeated) -> dict[str, Any]:
    error = None if math.isnan(repeated.error) else repeated.error
    return {"mean": repeated.mean, "error": error, "values": list(repeated.values)}


def as_text(found: Findings) -> Table:
    """The Pareto set, for a terminal."""
    front = found.front
    counts = [f"{len(front)} on the front", f"{len(found.feasible) - len(front)} dominated"]
    counts.append(f"{len(found.candidates) - len(found.feasible)} infeasible")
    wanted = " with " + " and ".join(map(str, found.constraints)) if found.constraints else ""
    table = Table(box=box.SIMPLE_HEAD, padding=0, title=f"Pareto front{wanted}: {', '.join(counts)}")
    for heading in _headings(found):
        table.add_column(heading.replace(" ", "\n"), justify="right", overflow="fold")
    for candidate in front:
        table.add_row(*_cells(found, candidate))
    return table


def show(found: Findings, as_json_text: bool) -> None:
    """Print the front and how optimistic the search was; or everything as JSON."""
    if as_json_text:
        print(json.dumps(as_json(found), indent=2))
        return
    console = Console()
    console.print(as_text(found))
    if sentence := optimism_sentence(found):
        console.print(sentence)


def optimism_sentence(found: Findings) -> str | None:
    """By how much the search was optimistic, if members of the front were trained with other seeds."""
    optimism = found.optimism()
    if optimism is None or found.quality is None:
        return None
    name = found.quality.name
    error = "" if math.isnan(optimism.error) else f" ± {_shown(name, optimism.error)}"
    unit = " points" if name in SHARES else ""
    above = f"{_shown(name, abs(optimism.mean))}{error}{unit}"
    side = "above" if optimism.mean >= 0 else "below"
    return (
        f"{name} of the search is {above} {side} that of other seeds, mean over the "
        f"{len(optimism.values)} confirmed of {len(found.front)} on the front"
    )


def write_csv(found: Findings, path: Path) -> None:
    """All candidates, with all digits."""
    front, settings, names = found.front, _settings(found), [goal.name for goal in found.goals]
    again = [f"{name} {part}" for name in _confirmed(found) for part in ("confirmed", "error", "seeds")]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["trial", "kind", *settings, *names, *again])
        for one in found.candidates:
            row = [one.trial, found.kind(one, front), *(one.settings.get(name, "") for name in settings)]
            row += [one.measured[name] for name in names]
            for name in _confirmed(found):
                repeated = one.again(name)
                row += [repeated.mean, repeated.error, len(repeated.values)] if repeated else ["", "", 0]
            writer.writerow(row)


def as_latex(found: Findings) -> str:
    """The Pareto set as a table for the booktabs package."""
    return booktabs(_headings(found), [_cells(found, candidate) for candidate in found.front])


def _settings(found: Findings) -> list[str]:
    return list(found.candidates[0].settings)


def _confirmed(found: Findings) -> list[str]:
    """The goals that training decides, where there are confirmations: costs do not change with the seed."""
    return [
        goal.name
        for goal in found.goals
        if goal.maximise and any(one.again(goal.name) is not None for one in found.candidates)
    ]


def _headings(found: Findings) -> Cells:
    named = [f"{goal.name} %" if goal.name in SHARES else goal.name for goal in found.goals]
    return ["trial", *_settings(found), *named, *(f"{name} confirmed" for name in _confirmed(found))]


def _cells(found: Findings, candidate: Candidate) -> Cells:
    cells = [str(candidate.trial), *(f"{value}" for value in candidate.settings.values())]
    cells += [_shown(goal.name, candidate.measured[goal.name]) for goal in found.goals]
    for name in _confirmed(found):
        again = candidate.again(name)
        cells.append("-" if again is None else _with_error(name, again))
    return cells


def _with_error(name: str, repeated: Repeated) -> str:
    mean = _shown(name, repeated.mean)
    return mean if math.isnan(repeated.error) else f"{mean} ± {_shown(name, repeated.error)}"


def _shown(name: str, value: float) -> str:
    if name in SHARES:
        return f"{100 * value:.2f}"
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.4g}"
