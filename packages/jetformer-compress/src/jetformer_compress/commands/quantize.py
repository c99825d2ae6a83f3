"""`jetformer-compress quantize`."""

from __future__ import annotations

import csv
import dataclasses
import shutil
from pathlib import Path
from typing import Annotated, Any, cast

import typer
from rich.table import Table

from jetformer_compress import quantisation
from jetformer_compress.calibration import SHARINGS, Sharing, Widths
from jetformer_compress.commands.application import (
    AsJson,
    DataFile,
    Device,
    Out,
    Seed,
    StateFile,
    app,
    checkpoint_of,
    console,
    finish,
)
from jetformer_compress.errors import CompressError
from jetformer_model.dataset import tagging_data_for
from jetformer_model.distributed import processes
from jetformer_model.state import load, require_folder
from jetformer_model.training import Run

COLUMNS = (
    "validation_accuracy",
    "float_validation_accuracy",
    "ebops",
    "mean_weight_bits",
    "mean_activation_bits",
)
TITLES = ("accuracy (%)", "float (%)", "EBOPs", "weight bits", "activation bits")
SHARING_HELP = f"Which numbers share a format: {', '.join(SHARINGS)}."


@app.command()
def quantize(
    state: StateFile,
    data: DataFile,
    out: Out,
    weight_bits: Annotated[
        int | None, typer.Option(help="Bits of every weight (6), or where learned widths start (7).")
    ] = None,
    activation_bits: Annotated[int, typer.Option(help="Bits of every intermediate result, likewise.")] = 8,
    ebops: Annotated[
        float | None, typer.Option(help="Learn all widths, within so many effective bit operations.")
    ] = None,
    front: Annotated[
        int, typer.Option(help="With --ebops: so many states on the way down to them, OUT-1, OUT-2, ...")
    ] = 1,
    post_training: Annotated[
        bool, typer.Option("--post-training", help="Calibrate only: a quick look, not trained.")
    ] = False,
    teacher: Annotated[
        Path | None, typer.Option(help="A larger float state of the same features to learn from.")
    ] = None,
    weights_share: Annotated[str | None, typer.Option(help=SHARING_HELP)] = None,
    activations_share: Annotated[str, typer.Option(help=SHARING_HELP)] = "channel",
    keep_ranges: Annotated[
        bool,
        typer.Option("--keep-ranges", help="With --ebops: integer bits of activations stay as calibrated."),
    ] = False,
    epochs: Annotated[
        int, typer.Option(help="Epochs of quantised training, of each state.")
    ] = quantisation.RECIPE.epochs,
    batch_size: Annotated[int, typer.Option(help="Jets a step.")] = quantisation.RECIPE.batch_size,
    learning_rate: Annotated[float, typer.Option(help="The highest.")] = quantisation.RECIPE.learning_rate,
    seed: Seed = 0,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Fold the norms, give every number a fixed-point format, and train within these formats.

    jetformer-compress quantize pruned.safetensors jets.h5 --out fixed.safetensors

    jetformer-compress quantize float.safetensors jets.h5 --ebops 200000 --out fixed.safetensors

    Formats have the widths given, or with --ebops those that training finds best for so many bit operations; a width may
    become 0. Killed and run again, the same command goes on after the last whole epoch.
    """
    require_folder(out)
    if ebops is None and (front != 1 or keep_ranges):
        raise CompressError("--front and --keep-ranges: they are for learned widths, which need --ebops")
    if front < 1 or (ebops is not None and ebops <= 0):
        raise CompressError(f"--front and --ebops: expected positive numbers, got {front} and {ebops}")
    if post_training and (ebops is not None or teacher is not None):
        raise CompressError(
            "--post-training: nothing is trained, so there is no use for --ebops and --teacher"
        )
    loaded, larger = load(state), load(teacher) if teacher else None
    start = quantisation.WIDE if ebops is not None else Widths()
    widths = Widths(
        weights=start.weights if weight_bits is None else weight_bits,
        activations=activation_bits,
        weights_share=cast(Sharing, weights_share or start.weights_share),
        activations_share=cast(Sharing, activations_share),
    )
    recipe = dataclasses.replace(
        quantisation.RECIPE, epochs=epochs, seed=seed, batch_size=batch_size, learning_rate=learning_rate
    )
    jets = tagging_data_for(loaded, data)
    settings: dict[str, Any] = {
        "widths": dataclasses.asdict(widths),
        "recipe": dataclasses.asdict(recipe),
        "ebops": ebops,
    }
    settings |= {"learn_ranges": not keep_ranges, "teacher": str(teacher) if teacher else None}
    with processes(device) as process:
        float_form = quantisation.judged(loaded.network, jets, process.device)
        before = {"float_validation_accuracy": float_form.validation_accuracy}
        run = Run(checkpoint_of(out), progress=not as_json, process=process)
        if post_training:
            results = iter([quantisation.untrained(loaded, jets, widths)])
        elif ebops is None:
            results = iter([quantisation.quantize(loaded, jets, widths, recipe, run, teacher=larger)])
        else:
            budgets = quantisation.budgets_to(loaded, jets.train, widths, ebops, front)
            checkpoint_of(out).mkdir(exist_ok=True)
            run = dataclasses.replace(run, checkpoint=checkpoint_of(out) / "training")
            options: dict[str, Any] = {"learn_ranges": not keep_ranges, "teacher": larger}
            results = quantisation.quantize_to_budget(loaded, jets, budgets, widths, recipe, run, **options)
        rows = []
        for number, result in enumerate(results, 1):
            target = out if front == 1 else out.with_stem(f"{out.stem}-{number}")
            metrics = result.state.metrics | before
            rows.append({"state": target.name} | {column: metrics[column] for column in COLUMNS})
            result = dataclasses.replace(result, state=dataclasses.replace(result.state, metrics=metrics))
            finish("quantize", target, state, result, settings, as_json)
    if front > 1:
        shutil.rmtree(checkpoint_of(out), ignore_errors=True)
        _write_front(out.with_suffix(".front.csv"), rows)
    if not as_json:
        _show(rows)


def _write_front(path: Path, rows: list[dict[str, Any]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, ["state", *COLUMNS])
        writer.writeheader()
        writer.writerows(rows)


def _show(rows: list[dict[str, Any]]) -> None:
    table = Table("state", *(title.replace(" ", "\n") for title in TITLES))
    for row in rows:
        accuracy, before, cost, weights, activations = (row[column] for column in COLUMNS)
        percents = (f"{100 * accuracy:.2f}", f"{100 * before:.2f}")
        table.add_row(row["state"], *percents, f"{cost:,.0f}", f"{weights:.2f}", f"{activations:.2f}")
    console.print(table)
