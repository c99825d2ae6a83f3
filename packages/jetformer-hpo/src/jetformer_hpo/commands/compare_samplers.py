"""`jetformer-hpo compare-samplers`."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table as Printed

from jetformer_hpo import constraints
from jetformer_hpo.commands.application import AsJson, app, console
from jetformer_hpo.comparison_plot import draw_comparison
from jetformer_hpo.sampler_comparison import Comparison, Problem, compare
from jetformer_hpo.samplers import NAMES, START_UP
from jetformer_hpo.tabulated import load_table

AT = (40, 60, 80)
SLOW_SEEDS = 2


@app.command("compare-samplers")
def compare_samplers(
    table: Annotated[str, typer.Argument(help="A table from `tabulate`, or one that ships: paper_8x3.")],
    samplers: Annotated[str, typer.Option(help=f"Some of {', '.join(NAMES)}.")] = "nsga2,nsga3,tpe,random",
    trials: Annotated[int, typer.Option(min=1, help="Different points in each run.")] = max(AT),
    seeds: Annotated[int, typer.Option(min=1, help="Runs of each sampler.")] = 100,
    botorch_seeds: Annotated[
        int, typer.Option(min=1, help="Runs of botorch at most: one takes many minutes.")
    ] = SLOW_SEEDS,
    start_up: Annotated[int, typer.Option(min=1, help="Random trials of tpe and botorch.")] = START_UP,
    objectives: Annotated[str, typer.Option(help="Two, both in the table.")] = "accuracy,flops",
    constraint: Annotated[
        list[str] | None, typer.Option(help="Such as accuracy>=0.65; may be given several times.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for hypervolume.{json,csv,png}; the last needs extra plot.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run samplers on a measured table, many seeds each, and compare their hypervolumes.

    jetformer-hpo compare-samplers paper_8x3 --samplers nsga2,nsga3,tpe,random --out comparison
    """
    measured = load_table(table)
    names = [name.strip() for name in objectives.split(",")]
    problem = Problem.of(measured, names, [constraints.parse(text) for text in constraint or ()])
    runs = {name.strip(): seeds for name in samplers.split(",")}
    if "botorch" in runs:
        runs["botorch"] = min(seeds, botorch_seeds)
    with _progress_bar() as bar:
        task = bar.add_task("runs", total=sum(runs.values()))
        found = compare(
            measured, problem, runs, trials, start_up=start_up, progress=lambda _: bar.advance(task)
        )
    report = _report(found, measured.provenance)
    if out:
        out.mkdir(parents=True, exist_ok=True)
        (out / "hypervolume.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
        _write_csv(found, out / "hypervolume.csv")
    if as_json:
        print(json.dumps(report, indent=2))
    else:
        _print(found)
    if out:
        draw_comparison(found, out / "hypervolume.png")


def _report(comparison: Comparison, provenance: dict[str, Any]) -> dict[str, Any]:
    return {
        "trials": comparison.trials,
        "normalisation": comparison.normalisation(),
        "whole_table": comparison.highest,
        "hypervolume": comparison.summary(_at(comparison)),
        "table": provenance,
    }


def _at(comparison: Comparison) -> tuple[int, ...]:
    """Trials after which hypervolumes are told: the usual ones that were reached, and the last."""
    return tuple(sorted({*(n for n in AT if n <= comparison.trials), comparison.trials}))


def _print(comparison: Comparison) -> None:
    at = _at(comparison)
    printed = Printed(
        title="Hypervolume: median, 16 to 84 % of seeds",
        caption="; ".join(f"{name} {scale}" for name, scale in comparison.problem.scales.items())
        + f"; reference (0, 0); all points of the table reach {comparison.highest:.4f}",
    )
    printed.add_column("sampler")
    printed.add_column("seeds", justify="right")
    for n in at:
        printed.add_column(f"{n} trials")
    for name, entry in comparison.summary(at).items():
        bands = [entry[str(n)] for n in at]
        cells = [f"{b['median']:.3f} {b['low']:.3f}–{b['high']:.3f}" for b in bands]
        printed.add_row(name, str(entry["seeds"]), *cells)
    console.print(printed)


def _write_csv(comparison: Comparison, path: Path) -> None:
    """A row for each sampler and trial."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["sampler", "seeds", "trial", "low", "median", "high"])
        for name, curves in comparison.curves.items():
            for trial, band in enumerate(comparison.bands(name).T.tolist(), start=1):
                writer.writerow([name, len(curves), trial, *(f"{value:.6f}" for value in band)])


def _progress_bar() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, transient=True, console=Console(stderr=True))
