"""What all commands share: the application, its options, its errors, how a result is printed."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from jetformer_data.errors import DataError
from jetformer_data.padding import FEATURES
from jetformer_model.config import PRESETS
from jetformer_model.errors import ModelError
from jetformer_model.optimisation import SCHEDULERS

app = typer.Typer(
    help="Train, compare and export jet taggers.  Start with: jetformer-model train jets.h5 --out tiny.safetensors",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
console = Console()

DataFile = Annotated[Path, typer.Argument(help="Jets in the array schema (HDF5), from jetformer-data.")]
DataFiles = Annotated[
    list[Path], typer.Argument(help="Jets in the array schema (HDF5): files, globs or folders of them.")
]
StateFile = Annotated[Path, typer.Argument(help="A state file (.safetensors).")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
PresetName = Annotated[str, typer.Option("--preset", help=f"One of {', '.join(PRESETS)}.")]
Constituents = Annotated[int | None, typer.Option(help="Constituents a jet; the preset's if not given.")]

# Of a training
DEFAULT_FEATURES = ",".join(FEATURES)
FeatureNames = Annotated[str, typer.Option(help="Names of features, separated by commas.")]
MinPt = Annotated[float, typer.Option(help="Drop constituents below, GeV.")]
Epochs = Annotated[int, typer.Option(help="At most so many.")]
BatchSize = Annotated[int, typer.Option(help="Jets a step.")]
LearningRate = Annotated[float, typer.Option(help="The highest.")]
SchedulerName = Annotated[str, typer.Option(help=f"One of {', '.join(SCHEDULERS)}.")]
WeightDecay = Annotated[float, typer.Option(help="Of AdamW, on matrices.")]
Precision = Annotated[str, typer.Option(help="fp32 or bf16.")]
Patience = Annotated[int, typer.Option(help="Epochs without improvement before stopping.")]
Device = Annotated[str, typer.Option(help="cpu, cuda, or auto: a GPU where there is one.")]


def main() -> None:
    """Run the command; what is wrong with the input is one sentence on standard error and exit code 1."""
    try:
        app()
    except (ModelError, DataError) as error:
        print(f"jetformer-model: {error}", file=sys.stderr)
        sys.exit(1)


def show(result: dict[str, Any], as_json: bool) -> None:
    """Print a result as a table, or as JSON."""
    if as_json:
        print(json.dumps(result, indent=2))
        return
    table = Table(show_header=False)
    for key, value in result.items():
        table.add_row(
            key,
            "  ".join(f"{k} {_short(v)}" for k, v in value.items())
            if isinstance(value, dict)
            else _short(value),
        )
    console.print(table)


def _short(value: object) -> str:
    return (
        f"{value:.4g}"
        if isinstance(value, float)
        else f"{value:,}"
        if isinstance(value, int | np.integer)
        else str(value)
    )
