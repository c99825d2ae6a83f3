"""`jetformer-compress bench`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console
from rich.progress import Progress

from jetformer_compress import measuring, measuring_table
from jetformer_compress.commands.application import AsJson, app, console, require_device
from jetformer_compress.errors import CompressError
from jetformer_model import plotting
from jetformer_model.state import require_folder


@app.command()
def bench(
    states: Annotated[
        list[Path], typer.Argument(help="State files, such as one before and one after pruning.")
    ],
    data: Annotated[
        Path | None, typer.Option(help="Jets (array schema, HDF5): accuracies on their test split.")
    ] = None,
    batches: Annotated[str, typer.Option(help="Jets at once, separated by commas.")] = ",".join(
        map(str, measuring.BATCHES)
    ),
    device: Annotated[
        str, typer.Option(help="cpu, cuda, or auto: the CPU, and a GPU where there is one.")
    ] = "auto",
    seconds: Annotated[float, typer.Option(help="For each batch size on each device.")] = 2.0,
    csv: Annotated[Path | None, typer.Option(help="Also write a table (.csv).")] = None,
    plot: Annotated[Path | None, typer.Option(help="Also draw a picture (.png, .pdf).")] = None,
    as_json: AsJson = False,
) -> None:
    """Time, FLOPs, parameters, size and accuracy of networks side by side, all in the same implementation.

    jetformer-compress bench tiny.safetensors pruned.safetensors --data jets.h5 --plot bench.png

    Times are medians after a warm-up, of full jets in float32; run nothing else beside it.
    """
    sizes = _sizes(batches)
    for path in (csv, plot):
        if path is not None:
            require_folder(path)
    if plot is not None:
        plotting.require_plots()
    devices = _devices(device)
    terminal = Console(stderr=True)
    with Progress(console=terminal, transient=True, disable=not terminal.is_terminal) as bar:
        rows = list(
            bar.track(
                measuring.measure(states, data, sizes, devices, seconds), len(states), description="networks"
            )
        )
    names = {one: measuring.device_name(one) for one in devices}
    if as_json:
        print(json.dumps({"devices": names, "networks": [row.as_dict() for row in rows]}, indent=2))
    else:
        console.print(measuring_table.as_table(rows))
        console.print("; ".join(f"{key}: {name}" for key, name in names.items()), markup=False)
    if csv is not None:
        measuring_table.write_csv(rows, csv)
    if plot is not None:
        measuring_table.draw(rows, plot)


def _sizes(text: str) -> list[int]:
    try:
        sizes = [int(size) for size in text.split(",")]
    except ValueError:
        sizes = [0]
    if min(sizes) < 1:
        raise CompressError(f"--batches: expected numbers of jets separated by commas, got {text!r}")
    return sizes


def _devices(name: str) -> list[str]:
    if name == "auto":
        return ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
    require_device(name)
    return [name]
