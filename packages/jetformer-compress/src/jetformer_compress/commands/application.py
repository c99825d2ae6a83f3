"""What all commands share: the application, its options, its errors, how a result is kept and printed."""

from __future__ import annotations

import dataclasses
import json
import shutil
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import torch
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
Device = Annotated[str, typer.Option(help="cpu, cuda, or auto: a GPU where there is one.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


def main() -> None:
    """Run the command; what is wrong with the input is one sentence on standard error and exit code 1."""
    try:
        app()
    except (CompressError, ModelError, DataError) as error:
        print(f"jetformer-compress: {error}", file=sys.stderr)
        sys.exit(1)


def require_device(name: str) -> None:
    """Raise CompressError if PyTorch cannot work there; "auto" always can."""
    try:
        torch.empty(0, device="cpu" if name == "auto" else name)
    except (RuntimeError, AssertionError) as error:
        raise CompressError(f"device {name!r}: cannot be used ({str(error).splitlines()[0]})") from error


def checkpoint_of(out: Path) -> Path:
    """Where a killed command finds what it had done."""
    return out.with_name(f"{out.name}.partial")


def finish(
    command: str,
    out: Path,
    source: Path,
    result: TrainingResult,
    settings: dict[str, Any],
    as_json: bool,
    test: dict[str, Any] | None = None,
) -> None:
    """Write the new state with its origin and its log, remove what a killed command would have needed, print a summary.

    test: from `held_out.compare`
    """
    state = result.state
    step = {"settings": settings, "from": str(source), "version": version("jetformer-compress")}
    metrics = dict(state.metrics)
    if test:
        step["test"] = test
        metrics |= {"test_accuracy": test["after"]["accuracy"]}
    save(out, dataclasses.replace(state, metrics=metrics, provenance=state.provenance | {command: step}))
    write_history(out.with_suffix(".csv"), result.history)
    _remove(checkpoint_of(out))
    summary = {
        "state": str(out),
        "kilobytes": out.stat().st_size / 1024,
        "flops": flops(state.float_form),
        "validation_loss": result.best.validation_loss,
        "validation_accuracy": result.best.validation_accuracy,
    }
    show(summary | ({"test": test} if test else {}), as_json)


def show(result: dict[str, Any], as_json: bool) -> None:
    """Print a result as a table, or as JSON."""
    if as_json:
        print(json.dumps(result, indent=2))
        return
    table = Table(show_header=False)
    for key, value in result.items():
        if key == "test":
            for name in (one for one in ("before", "after", "difference") if one in value):
                table.add_row(f"test accuracy, {name} (%)", _percent(value[name]))
        else:
            table.add_row(key, f"{value:.4f}" if isinstance(value, float) else f"{value}")
    console.print(table)


def _percent(found: dict[str, Any]) -> str:
    low, high = found["interval"]
    return f"{100 * found['accuracy']:.2f} ({100 * low:.2f} to {100 * high:.2f})"


def _remove(checkpoint: Path) -> None:
    if checkpoint.is_dir():
        shutil.rmtree(checkpoint)
    checkpoint.unlink(missing_ok=True)
