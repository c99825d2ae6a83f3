"""`jetformer-hpo tabulate`."""

from __future__ import annotations

import datetime
import json
import shlex
import sys
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from jetformer_data.padding import FEATURES
from jetformer_hpo.commands.application import app
from jetformer_hpo.errors import SearchError
from jetformer_hpo.objectives import directions
from jetformer_hpo.space import Point, Space, load_space
from jetformer_hpo.tabulated import Measured, Table, load_table
from jetformer_hpo.tabulated import tabulate as measure_missing
from jetformer_model.dataset import MIN_PT_GEV, file_sha256

VERSIONS_OF = ("jetformer-data", "jetformer-hpo", "jetformer-model", "torch", "numpy")


@app.command()
def tabulate(
    data: Annotated[list[Path], typer.Argument(help="Jets in the array schema (HDF5): one file or several.")],
    out: Annotated[Path, typer.Option(help="The table (JSON); one that is there is gone on with.")],
    space: Annotated[str, typer.Option(help="A shipped space, a TOML file or module:function.")] = "paper",
    objectives: Annotated[str, typer.Option(help="What to measure, separated by commas.")] = "accuracy,flops",
    constituents: Annotated[
        int, typer.Option(min=1, help="Constituents a jet, unless the space has them.")
    ] = 8,
    features: Annotated[str, typer.Option(help="Names of features.")] = ",".join(FEATURES),
    min_pt: Annotated[float, typer.Option(help="Drop constituents below, GeV.")] = MIN_PT_GEV,
    norm: Annotated[str, typer.Option(help="batch (hardware) or layer (offline).")] = "batch",
    activation: Annotated[str, typer.Option(help="relu (hardware) or silu (offline).")] = "relu",
    epochs: Annotated[int, typer.Option(min=1, help="At most so many for each point.")] = 25,
    batch_size: Annotated[int, typer.Option(min=1, help="Jets a step.")] = 256,
    patience: Annotated[int, typer.Option(min=1, help="Epochs without improvement before stopping.")] = 4,
    seed: Annotated[int, typer.Option(help="Of the weights and of the order of jets.")] = 0,
) -> None:
    """Train every point of a space and store what was measured. When it was interrupted, the same command goes on.

    jetformer-hpo tabulate jets.h5 --space paper --epochs 10 --out table.json
    """
    names = _names(objectives)
    request = {
        "features": _names(features),
        "min_pt_gev": min_pt,
        "constituents": constituents,
        "norm": norm,
        "activation": activation,
        "recipe": {"epochs": epochs, "batch_size": batch_size, "patience": patience},
        "seed": seed,
        "objectives": names,
    }
    hashes = [file_sha256(path) for path in data]
    quantities = dict(zip(names, directions(names), strict=True))
    fresh = Table(load_space(space), quantities, _provenance(request, hashes))
    table = _taken_up(fresh, out)
    request["data"] = [str(path) for path in data]
    with _progress_bar() as bar:
        task = bar.add_task("points", total=len(table.space), completed=len(table.rows))
        failures = measure_missing(
            table, _trainer(table.space, request), out, progress=lambda done: bar.update(task, completed=done)
        )
    if failures:
        point, reason = next(iter(failures.items()))
        raise SearchError(
            f"{len(failures)} of {len(table.space)} points failed, the first, {table.space.parameters(point)}: {reason}; "
            "the same command tries them again"
        )
    print(f"{out}: {len(table.rows)} points")


def _provenance(request: dict[str, Any], hashes: list[str]) -> dict[str, Any]:
    return {
        "command": shlex.join(["jetformer-hpo", *sys.argv[1:]]),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "seed": request["seed"],
        "data_sha256": hashes,
        "request": dict(request),
        "versions": {name: version(name) for name in VERSIONS_OF},
    }


def _taken_up(fresh: Table, path: Path) -> Table:
    """The table in `path`, if it was measured as `fresh` would be; `fresh` if there is none."""
    if not path.exists():
        return fresh
    table = load_table(path)
    for name in ("data_sha256", "request"):
        if table.provenance.get(name) != fresh.provenance[name]:
            raise SearchError(
                f"{path}: was measured with another {name} ({table.provenance.get(name)}); give another --out"
            )
    if table.space != fresh.space:
        raise SearchError(f"{path}: is of another space; give another --out")
    return table


def _trainer(space: Space, request: dict[str, Any]) -> Callable[[Point], Measured]:
    """Trains a point as a trial of a search does, in a folder that is forgotten afterwards."""
    run: Callable[[Path], None] = import_module("jetformer_hpo.trial").run

    def measure(point: Point) -> Measured:
        with TemporaryDirectory() as name:
            folder = Path(name)
            settings = space.settings(point)
            (folder / "request.json").write_text(json.dumps(request | {"settings": settings}))
            run(folder)
            values: Measured = json.loads((folder / "result.json").read_text())["values"]
            return values

    return measure


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",")]


def _progress_bar() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True))
