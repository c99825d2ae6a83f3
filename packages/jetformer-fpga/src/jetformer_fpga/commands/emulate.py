"""`jetformer-fpga emulate`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from .. import emulation
from .application import AsJson, Split, StateFile, app, task


@app.command()
def emulate(
    state: StateFile,
    data: Annotated[Path, typer.Argument(help="Jets (array schema, HDF5).")],
    out: Annotated[
        Path | None, typer.Option(help="Scores (.h5), as `jetformer-model predict` writes them.")
    ] = None,
    split: Split = "all",
    workers: Annotated[int | None, typer.Option(help="Cores; default all.")] = None,
    as_json: AsJson = False,
) -> None:
    """Scores of the firmware itself for whole files of jets, by its integer network, without simulating a circuit.

    jetformer-fpga emulate fixed.safetensors jets.h5 --out scores.h5
    """
    with task("jets") as progress:
        found = emulation.emulate(state, data, out, split=split, workers=workers, progress=progress)
    if as_json:
        print(json.dumps(found.as_json(), indent=1))
        return
    table = Table("quantity", "value", title="Emulated firmware")
    table.add_row(
        "jets", f"{found.jets:,} in {found.seconds:.1f} s: {found.jets / found.seconds:,.0f} a second"
    )
    table.add_row("accuracy", "no jets" if found.accuracy is None else f"{found.accuracy:.4f}")
    table.add_row("computed by", found.engine)
    if found.scores:
        table.add_row("scores", found.scores)
    Console().print(table)
