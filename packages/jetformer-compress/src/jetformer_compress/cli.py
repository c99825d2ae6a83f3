"""The `jetformer-compress` command."""

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

from jetformer_compress import pruning, quantisation
from jetformer_compress.calibration import Widths
from jetformer_compress.errors import CompressError
from jetformer_data.errors import DataError
from jetformer_model.dataset import tagging_data_for
from jetformer_model.errors import ModelError
from jetformer_model.flops import flops
from jetformer_model.state import load, require_folder, save
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


@app.command()
def prune(
    state: StateFile,
    data: DataFile,
    out: Out,
    ratio: Annotated[float, typer.Option(help="Share of head and hidden dimensions to remove.")] = 0.5,
    steps: Annotated[int, typer.Option(help="Prune in so many steps, fine-tuning after each.")] = 5,
    epochs: Annotated[int, typer.Option(help="Epochs of fine-tuning a step.")] = pruning.RECIPE.epochs,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Remove the head and hidden dimensions that matter least, and fine-tune.

    jetformer-compress prune tiny.safetensors jets.h5 --ratio 0.5 --out pruned.safetensors
    """
    require_folder(out)
    loaded = load(state)
    before, after = loaded.architecture, pruning.plan(loaded.architecture, ratio)
    plan = (
        f"plan: q, k, v {before.attention_dims} -> {after.attention_dims}, hidden {before.feedforward_dims} -> "
        f"{after.feedforward_dims}, FLOPs {flops(before):,} -> {flops(after):,}"
    )
    if not as_json:
        print(plan)
    recipe = dataclasses.replace(pruning.RECIPE, epochs=epochs, seed=seed)
    jets = tagging_data_for(loaded, data)
    result = pruning.prune(loaded, jets, ratio, steps, recipe, checkpoint=_checkpoint(out), progress=True)
    settings = {"ratio": ratio, "steps": steps, "recipe": dataclasses.asdict(recipe)}
    _finish(out, state, result, settings, as_json)


@app.command()
def quantize(
    state: StateFile,
    data: DataFile,
    out: Out,
    weight_bits: Annotated[int, typer.Option(help="Bits of every weight.")] = Widths.weights,
    activation_bits: Annotated[
        int, typer.Option(help="Bits of every intermediate result.")
    ] = Widths.activations,
    epochs: Annotated[int, typer.Option(help="Epochs of quantised training.")] = quantisation.RECIPE.epochs,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Fold the norms, give every number a fixed-point format, and train within these formats.

    jetformer-compress quantize pruned.safetensors jets.h5 --out fixed.safetensors
    """
    require_folder(out)
    loaded = load(state)
    widths = Widths(weights=weight_bits, activations=activation_bits)
    recipe = dataclasses.replace(quantisation.RECIPE, epochs=epochs, seed=seed)
    result = quantisation.quantize(
        loaded, tagging_data_for(loaded, data), widths, recipe, checkpoint=_checkpoint(out), progress=True
    )
    settings = {"widths": dataclasses.asdict(widths), "recipe": dataclasses.asdict(recipe)}
    _finish(out, state, result, settings, as_json)


def _checkpoint(out: Path) -> Path:
    return out.with_name(f"{out.name}.partial")


def _finish(out: Path, source: Path, result: TrainingResult, settings: dict[str, Any], as_json: bool) -> None:
    step = {"settings": settings, "from": str(source), "version": version("jetformer-compress")}
    provenance = result.state.provenance | {sys.argv[1]: step}
    save(out, dataclasses.replace(result.state, provenance=provenance))
    write_history(out.with_suffix(".csv"), result.history)
    for checkpoint in out.parent.glob(f"{_checkpoint(out).name}*"):
        checkpoint.unlink()
    summary = {
        "state": str(out),
        "flops": flops(result.state.architecture),
        "validation_loss": result.best.validation_loss,
        "validation_accuracy": result.best.validation_accuracy,
    }
    if as_json:
        print(json.dumps(summary, indent=2))
        return
    table = Table(show_header=False)
    for key, value in summary.items():
        table.add_row(key, f"{value:.4f}" if isinstance(value, float) else f"{value}")
    console.print(table)
