"""`jetformer-fpga explore`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from .. import exploration, project
from .application import AsJson, ClockMhz, StateFile, app, task, words_of


@app.command()
def explore(
    state: StateFile,
    stage_delays: Annotated[
        str, typer.Option(help="Longest delays of a clock cycle to try, in the tracer's units.")
    ] = ",".join(f"{delay:g}" for delay in exploration.STAGE_DELAYS),
    table_bits: Annotated[str, typer.Option(help="Widest addresses of merged tables to try.")] = "8",
    depths: Annotated[
        str, typer.Option(help="Adder levels beyond the least in matrices to try; -1: any number.")
    ] = "0,1,-1",
    clock_mhz: ClockMhz = project.CLOCK_MHZ,
    csv: Annotated[Path | None, typer.Option(help="Also write the points into this file.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Also draw them (.svg, .png, .pdf).")] = None,
    as_json: AsJson = False,
) -> None:
    """Latency against logic for many pipelines of one network, by the tracer's estimates.

    jetformer-fpga explore fixed.safetensors --stage-delays 6,9,12 --plot latency.svg
    """
    with task("pipelines") as progress:
        found = exploration.explore(
            state,
            stage_delays=[float(word) for word in words_of(stage_delays, float)],
            table_bits=[int(word) for word in words_of(table_bits, int)],
            depths=[int(word) for word in words_of(depths, int)],
            clock_mhz=clock_mhz,
            progress=progress,
        )
    if csv is not None:
        exploration.write_csv(found, csv)
    if plot is not None:
        exploration.plot(found, plot, state.stem)
    if as_json:
        print(json.dumps([point.as_json() for point in found], indent=1))
    else:
        Console().print(_table(found, clock_mhz))


def _table(found: list[exploration.Point], clock_mhz: float) -> Table:
    columns = (
        "stage delay",
        "table bits",
        "depth",
        "cycles",
        f"ns at {clock_mhz:g} MHz (assumed)",
        "LUT",
        "FF",
        "best",
    )
    table = Table(*columns, title="Pipelines (estimates of the tracer)")
    for p in sorted(found, key=lambda p: (p.latency_cycles, p.lut)):
        numbers = (f"{p.stage_delay:g}", f"{p.table_bits}", f"{p.depth}", f"{p.latency_cycles}")
        table.add_row(*numbers, f"{p.latency_ns:.0f}", f"{p.lut:,}", f"{p.ff:,}", "*" if p.best else "")
    return table
