"""`jetformer-model compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, cast

import torch
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from jetformer_model.commands.application import (
    DEFAULT_FEATURES,
    BatchSize,
    DataFiles,
    Device,
    Epochs,
    FeatureNames,
    LearningRate,
    MinPt,
    Patience,
    Precision,
    SchedulerName,
    WeightDecay,
    app,
)
from jetformer_model.commands.configuration import ConfigFile, WriteConfig, write_configuration
from jetformer_model.comparison import Comparison, Conditions, Entry
from jetformer_model.comparison_plot import draw_comparison
from jetformer_model.comparison_table import Row, as_latex, as_text, make_rows, write_csv
from jetformer_model.dataset import MIN_PT_GEV
from jetformer_model.errors import ModelError
from jetformer_model.optimisation import Recipe
from jetformer_model.plotting import require_plots
from jetformer_model.taggers import TAGGERS

ALL = "all"


@app.command()
def compare(
    context: typer.Context,
    data: DataFiles,
    out: Annotated[Path, typer.Option(help="Folder for states, results, table and plot.")] = Path(
        "comparison"
    ),
    config: ConfigFile = None,
    models: Annotated[
        str, typer.Option(help=f"all, or names separated by commas, of: {', '.join(TAGGERS)}.")
    ] = ALL,
    constituents: Annotated[str, typer.Option(help="Constituents a jet; several with commas.")] = "16",
    seeds: Annotated[int, typer.Option(help="Trainings of each, with seeds 0, 1, ...")] = 3,
    features: FeatureNames = DEFAULT_FEATURES,
    min_pt: MinPt = MIN_PT_GEV,
    epochs: Epochs = 25,
    batch_size: BatchSize = 256,
    learning_rate: LearningRate = 1e-3,
    scheduler: SchedulerName = "onecycle",
    weight_decay: WeightDecay = 0.01,
    precision: Precision = "fp32",
    patience: Patience = 4,
    device: Device = "auto",
    jobs: Annotated[int, typer.Option(help="Trainings at a time.")] = 1,
    write_config: WriteConfig = None,
) -> None:
    """Train taggers alike, several seeds each, and put their test results into one table.

    OUT then holds table.csv, table.tex, accuracy.png and, in runs/, the states. Stopped and run again, it goes on; more
    models, constituents or seeds can be added later.

    jetformer-model compare jets.h5 --models jetformer,mlp,deep-sets --constituents 8,16 --seeds 3 --out comparison
    """
    if write_config:
        write_configuration(write_config, context)
    if seeds < 1 or jobs < 1:
        raise ModelError("--seeds and --jobs: expected at least 1")
    taggers = list(TAGGERS) if models == ALL else [name.strip() for name in models.split(",")]
    if unknown := [name for name in taggers if name not in TAGGERS]:
        raise ModelError(f"tagger {unknown[0]!r}: expected one of {', '.join(TAGGERS)}")
    sizes = _numbers(constituents)
    require_plots()
    recipe = Recipe(
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        weight_decay=weight_decay,
        scheduler=cast(Any, scheduler),
        precision=cast(Any, precision),
        patience=patience,
    )
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    names = tuple(name.strip() for name in features.split(","))
    comparison = Comparison(Conditions(tuple(data), names, min_pt, recipe, device), out)
    entries = [Entry(p, tagger, seed) for p in sizes for tagger in taggers for seed in range(seeds)]
    rows = _run(comparison, entries, jobs)
    table = as_text(rows)
    # wider than a narrow terminal, rather than with numbers cut short
    console = Console()
    console.width = max(console.width, Console(width=1000).measure(table).maximum)
    console.print(table)
    write_csv(rows, out / "table.csv")
    (out / "table.tex").write_text(as_latex(rows))
    draw_comparison(rows, out / "accuracy.png")


def _run(comparison: Comparison, entries: list[Entry], jobs: int) -> list[Row]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    results = {}
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("trainings", total=len(entries))
        for entry, found in comparison.run(entries, jobs):
            results[entry] = found
            bar.update(task, advance=1)
            bar.console.print(f"{entry.name}: accuracy {100 * found['accuracy']:.2f} %")
    speeds = {(e.tagger, e.constituents): comparison.speed(e) for e in entries if e.seed == 0}
    return make_rows(results, speeds)


def _numbers(text: str) -> list[int]:
    try:
        numbers = [int(word) for word in text.split(",")]
    except ValueError:
        numbers = []
    if not numbers or min(numbers) < 1:
        raise ModelError(f"--constituents {text}: expected whole numbers from 1, separated by commas")
    return numbers
