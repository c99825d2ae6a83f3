"""The `jetformer-model` command."""

from __future__ import annotations

import csv
import dataclasses
import json
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, cast

import numpy as np
import torch
import typer
from rich.console import Console
from rich.table import Table
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from jetformer_data.errors import DataError
from jetformer_data.filesets import find_files
from jetformer_data.padding import FEATURES
from jetformer_model import training
from jetformer_model.config import PRESETS, preset
from jetformer_model.dataset import MIN_PT_GEV, Dataset, TaggingData, file_sha256, open_split, tagging_data
from jetformer_model.distributed import processes
from jetformer_model.errors import ModelError
from jetformer_model.flops import flops as count_flops
from jetformer_model.flops import parameters
from jetformer_model.metrics import summarise
from jetformer_model.optimisation import SCHEDULERS, Recipe
from jetformer_model.state import load, require_folder, save
from jetformer_model.streamed import StreamedData, streamed_data

app = typer.Typer(
    help="Train, evaluate and count JetFormers.  Start with: jetformer-model train jets.h5 --out tiny.safetensors",
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


def main() -> None:
    """Run the command; what is wrong with the input is one sentence on standard error and exit code 1."""
    try:
        app()
    except (ModelError, DataError) as error:
        print(f"jetformer-model: {error}", file=sys.stderr)
        sys.exit(1)


@app.command()
def train(
    data: DataFiles,
    out: Annotated[Path, typer.Option(help="Where to write the state; the log goes beside it as .csv.")],
    preset_name: PresetName = "tiny",
    constituents: Constituents = None,
    features: Annotated[str, typer.Option(help="Names of features, separated by commas.")] = ",".join(
        FEATURES
    ),
    norm: Annotated[str | None, typer.Option(help="batch or layer; the preset's if not given.")] = None,
    activation: Annotated[str | None, typer.Option(help="relu or silu; the preset's if not given.")] = None,
    min_pt: Annotated[float, typer.Option(help="Drop constituents below, GeV.")] = MIN_PT_GEV,
    epochs: Annotated[int, typer.Option(help="At most so many.")] = 25,
    batch_size: Annotated[int, typer.Option(help="Jets a step.")] = 256,
    learning_rate: Annotated[float, typer.Option(help="The highest.")] = 1e-3,
    scheduler: Annotated[str, typer.Option(help=f"One of {', '.join(SCHEDULERS)}.")] = "onecycle",
    weight_decay: Annotated[float, typer.Option(help="Of AdamW, on matrices.")] = 0.01,
    decay_all: Annotated[
        bool, typer.Option("--decay-all", help="Decay norms, biases and class token too, as published.")
    ] = False,
    clip_norm: Annotated[float | None, typer.Option(help="Longest gradient; as it is if not given.")] = None,
    precision: Annotated[str, typer.Option(help="fp32 or bf16.")] = "fp32",
    patience: Annotated[int, typer.Option(help="Epochs without improvement before stopping.")] = 4,
    seed: Annotated[int, typer.Option(help="Of the weights and the order of jets.")] = 0,
    stream: Annotated[
        bool, typer.Option("--stream", help="Leave the jets on disk; so are those of more than one file.")
    ] = False,
    device: Annotated[str, typer.Option(help="cpu, cuda, or auto: a GPU where there is one.")] = "auto",
    compiled: Annotated[
        bool, typer.Option("--compile", help="Use torch.compile: for long trainings, on a GPU above all.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Train on the training split and keep the weights of the epoch with the best validation loss.

    Killed and run again, the same command goes on after the last whole epoch (OUT.partial).

    jetformer-model train jets.h5 --preset tiny --out tiny.safetensors

    torchrun --nproc-per-node 2 -m jetformer_model train 'jets/*.h5' --preset jetclass --out large.safetensors
    """
    names = tuple(name.strip() for name in features.split(","))
    require_folder(out)
    recipe = Recipe(
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        weight_decay=weight_decay,
        patience=patience,
        seed=seed,
        scheduler=cast(Any, scheduler),  # checked by the recipe
        decay_all=decay_all,
        clip_norm=clip_norm,
        precision=cast(Any, precision),
    )
    shape = preset(
        preset_name,
        features=len(names),
        classes=1,
        constituents=constituents,
        norm=norm,
        activation=activation,
    )
    jets: TaggingData | StreamedData
    if stream or len(data) > 1 or not data[0].is_file():
        jets = streamed_data(
            data,
            constituents=shape.constituents,
            features=names,
            min_pt_gev=min_pt if "pt" in names else 0.0,
            ragged=True,
        )
    else:
        jets = tagging_data(data[0], constituents=shape.constituents, features=names, min_pt_gev=min_pt)
    architecture = dataclasses.replace(shape, classes=len(jets.class_names))
    checkpoint = out.with_name(f"{out.name}.partial")
    with processes(device) as process:
        result = training.train(
            jets,
            architecture,
            recipe=recipe,
            checkpoint=checkpoint,
            progress=process.is_first,
            process=process,
            compiled=compiled,
        )
        if not process.is_first:
            return
    provenance = {
        "command": "jetformer-model train",
        "recipe": dataclasses.asdict(recipe),
        "jets": {"training": len(jets.train), "validation": len(jets.validation)},
        "data_sha256": [file_sha256(path) for path in find_files(data)],
        "processes": process.world,
        "device": process.device.type,
        "versions": {"jetformer-model": version("jetformer-model"), "torch": torch.__version__},
    }
    save(out, dataclasses.replace(result.state, provenance=provenance))
    write_history(out.with_suffix(".csv"), result.history)
    checkpoint.unlink(missing_ok=True)
    _print({"state": str(out)} | dataclasses.asdict(result.best), as_json)


@app.command()
def evaluate(
    state: StateFile,
    data: DataFile,
    split: Annotated[str, typer.Option(help="train, validation, test or all.")] = "test",
    logits: Annotated[
        Path | None, typer.Option(help="Also write logits, labels and jet_index (.safetensors).")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Accuracy, AUC and background rejection of a float or fixed-point network.

    jetformer-model evaluate tiny.safetensors jets.h5
    """
    if logits is not None:
        require_folder(logits)
    loaded = load(state)
    jets = open_split(data, split, loaded.inputs, loaded.architecture.constituents, loaded.class_names)
    scores = training.predict(loaded.network, jets)
    if logits is not None:
        save_file(
            {"logits": torch.from_numpy(scores), "labels": jets.labels, "jet_index": jets.index}, logits
        )
    _print(summarise(scores, jets.labels.numpy(), loaded.class_names), as_json)


@app.command()
def predict(
    state: StateFile,
    inputs: Annotated[
        Path,
        typer.Argument(help="Tensors `inputs` [jets, P, F] float32 (normalised) and `mask` [jets, P] bool."),
    ],
    out: Annotated[Path, typer.Option(help="Where to write the tensor `logits` [jets, classes] float64.")],
) -> None:
    """Logits for inputs that are already padded and normalised: what a test of other implementations needs.

    jetformer-model predict fixed.safetensors inputs.safetensors --out logits.safetensors
    """
    require_folder(out)
    network = load(state).network
    try:
        tensors = load_file(inputs)
        x, mask = tensors["inputs"], tensors["mask"]
    except (OSError, SafetensorError, KeyError) as error:
        raise ModelError(
            f"{inputs}: expected a .safetensors file with `inputs` and `mask` ({error})"
        ) from error
    shape = (network.architecture.constituents, network.architecture.features)
    if x.dim() != 3 or tuple(x.shape[1:]) != shape or mask.shape != x.shape[:2] or mask.dtype != torch.bool:
        raise ModelError(
            f"{inputs}: expected inputs [jets, {shape[0]}, {shape[1]}] and a bool mask, got {tuple(x.shape)}"
        )
    unlabelled = torch.zeros(len(x), dtype=torch.int64)
    scores = training.predict(network, Dataset(x, mask, unlabelled, unlabelled))
    save_file({"logits": torch.from_numpy(scores)}, out)


@app.command()
def flops(
    state: Annotated[Path | None, typer.Argument(help="A state file; without it, the preset.")] = None,
    preset_name: PresetName = "tiny",
    constituents: Constituents = None,
    features: Annotated[int, typer.Option(help="Features a constituent (preset only).")] = 3,
    classes: Annotated[int, typer.Option(help="Classes (preset only).")] = 5,
    as_json: AsJson = False,
) -> None:
    """FLOPs (1 multiply-accumulate = 1 FLOP) and parameters.

    jetformer-model flops --preset 150p --constituents 16
    """
    if state is not None:
        architecture = load(state).architecture
    else:
        architecture = preset(preset_name, features=features, classes=classes, constituents=constituents)
    _print(
        {
            "flops": count_flops(architecture),
            "parameters": parameters(architecture),
            "parameters_published_convention": parameters(architecture, "published"),
        },
        as_json,
    )


def write_history(path: Path, history: tuple[training.Epoch, ...]) -> None:
    """The training log, one line an epoch."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in dataclasses.fields(training.Epoch)])
        writer.writeheader()
        writer.writerows(dataclasses.asdict(epoch) for epoch in history)


def _print(result: dict[str, Any], as_json: bool) -> None:
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
