"""What all commands share: the application, its options, its errors, how a result is kept and printed."""

from __future__ import annotations

import dataclasses
import json
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from jetformer_compress.errors import CompressError
from jetformer_data.errors import DataError
from jetformer_model.errors import ModelError
from jetformer_model.state import save
from jetformer_model.taggers import flops
from jetformer_model.training import TrainingResult
from jetformer_model.training_log import write_history

app = typer.Typer(
    help="Make a JetFormer small.  Start with: jetformer-compress prune tiny.safetensors jets.h5 --out a.safetensors",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
console = Console()

StateFile = Annotated[Path, typer.Argument(help="A float state (.safetensors) from jetformer-model train.")]
DataFile = Annotated[Path, typer.Argument(help="The jets that it was trained on (array schema, HDF5).")]
Out = Annotated[Path, typer.Option(help="Where to write the new state; the log goes beside it as .csv.")]
Seed = Annotated[int, typer.Option(help="Of the order of jets.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


def main() -> None:
    """Run the command; what is wrong with the input is one sentence on standard error and exit code 1."""
    try:
        app()
    except (CompressError, ModelError, DataError) as error:
        print(f"jetformer-compress: {error}", file=sys.stderr)
        sys.exit(1)


def checkpoint_of(out: Path) -> Path:
    """Where a killed command finds what it had done."""
    return out.with_name(f"{out.name}.partial")


def finish(
    command: str, out: Path, source: Path, result: TrainingResult, settings: dict[str, Any], as_json: bool
) -> None:
    """Write the new state with its origin and its log, remove what a killed command would have needed, print a summary."""
    step = {"settings": settings, "from": str(source), "version": version("jetformer-compress")}
    save(out, dataclasses.replace(result.state, provenance=result.state.provenance | {command: step}))
    write_history(out.with_suffix(".csv"), result.history)
    for checkpoint in out.parent.glob(f"{checkpoint_of(out).name}*"):
        checkpoint.unlink()
    summary = {
        "state": str(out),
        "flops": flops(result.state.float_form),
        "validation_loss": result.best.validation_loss,
        "validation_accuracy": result.best.validation_accuracy,
    }
    show(summary, as_json)


def show(result: dict[str, Any], as_json: bool) -> None:
    """Print a result as a table, or as JSON."""
    if as_json:
        print(json.dumps(result, indent=2))
        return
    table = Table(show_header=False)
    for key, value in result.items():
        table.add_row(key, f"{value:.4f}" if isinstance(value, float) else f"{value}")
    console.print(table)
