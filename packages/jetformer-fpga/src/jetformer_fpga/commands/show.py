"""`jetformer-fpga show`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from .. import drawing, layers, project
from .. import state as states
from ..errors import FpgaError
from .application import AsJson, StateFile, app, task


@app.command()
def show(
    state: StateFile,
    svg: Annotated[Path | None, typer.Option(help="Also draw the network into this SVG file.")] = None,
    mermaid: Annotated[Path | None, typer.Option(help="Also write it as a Mermaid flow chart.")] = None,
    all_layers: Annotated[
        bool, typer.Option("--all", help="List operations that cost nothing, too.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Bit widths and estimated cost of every layer: what to shrink first. LUT and delay are the tracer's estimates.

    jetformer-fpga show fixed.safetensors --svg network.svg
    """
    with task("layers") as progress:
        found = layers.layers_of(states.read(state), project.TABLE_BITS, progress)
    for path, text in ((svg, drawing.svg(found, state.stem)), (mermaid, drawing.mermaid(found))):
        if path is not None:
            _write(path, text)
    if as_json:
        print(json.dumps([layer.as_json() for layer in found], indent=1))
    else:
        Console().print(_table(found, all_layers))


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text)
    except OSError as error:
        raise FpgaError(f"{path}: can't be written ({error.strerror}).") from error


def _table(found: list[layers.Layer], all_layers: bool) -> Table:
    whole = sum(layer.lut for layer in found) or 1
    table = Table(title="Layers, each alone")
    table.add_column("layer", overflow="fold")
    for column in ("operation", "shape", "bits", "LUT", "share", "delay"):
        table.add_column(column)
    for layer in found:
        if layer.lut or all_layers:
            low, high = layer.bits
            bits = f"{low}" if low == high else f"{low}-{high}"
            numbers = (f"{layer.lut:,}", f"{layer.lut / whole:.1%}", f"{layer.delay:g}")
            table.add_row(layer.name, layer.op, " x ".join(map(str, layer.shape)), bits, *numbers)
    table.add_section()
    table.add_row("sum", "", "", "", f"{whole:,}", "", "")
    return table
