"""`jetformer-model train`."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, cast

import torch
import typer

from jetformer_data.filesets import find_files
from jetformer_model import training
from jetformer_model.commands.application import (
    DEFAULT_FEATURES,
    AsJson,
    BatchSize,
    Constituents,
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
    show,
)
from jetformer_model.commands.configuration import ConfigFile, WriteConfig, options, write_configuration
from jetformer_model.config import PRESETS, preset
from jetformer_model.dataset import MIN_PT_GEV, file_sha256
from jetformer_model.distributed import processes
from jetformer_model.errors import ModelError
from jetformer_model.optimisation import Recipe
from jetformer_model.state import require_folder, save
from jetformer_model.streamed import training_data
from jetformer_model.taggers import TAGGERS
from jetformer_model.training_log import Epoch, tensorboard_log, write_history

OTHER_TAGGERS = tuple(
    name for name in TAGGERS if name not in ("jetformer", "jetformer-tiny", "jetformer-large")
)
OPTIONS_OF_JETFORMER = TAGGERS["jetformer-linformer"].options


@app.command()
def train(
    context: typer.Context,
    data: DataFiles,
    out: Annotated[Path, typer.Option(help="Where to write the state; the log goes beside it as .csv.")],
    config: ConfigFile = None,
    preset_name: Annotated[
        str,
        typer.Option(
            "--preset",
            help=f"A JetFormer: {', '.join(PRESETS)}; or another tagger: {', '.join(OTHER_TAGGERS)}.",
        ),
    ] = "tiny",
    constituents: Constituents = None,
    blocks: Annotated[int | None, typer.Option(help="Blocks; the preset's if not given.")] = None,
    embed_dim: Annotated[int | None, typer.Option(help="Width; the preset's if not given.")] = None,
    heads: Annotated[int | None, typer.Option(help="Heads; the preset's if not given.")] = None,
    feedforward_ratio: Annotated[
        int | None, typer.Option(help="Hidden width over --embed-dim; 2 if not given.")
    ] = None,
    dropout: Annotated[float | None, typer.Option(help="After each block; none if not given.")] = None,
    features: FeatureNames = DEFAULT_FEATURES,
    norm: Annotated[str | None, typer.Option(help="batch or layer; the preset's if not given.")] = None,
    activation: Annotated[str | None, typer.Option(help="relu or silu; the preset's if not given.")] = None,
    attention: Annotated[
        str | None, typer.Option(help="Of a trigger preset: softmax, relu, linear or linformer.")
    ] = None,
    queries: Annotated[
        str | None, typer.Option(help="Of a trigger preset: class_token or constituents.")
    ] = None,
    pooling: Annotated[
        str | None, typer.Option(help="Of a trigger preset: class_token, sum or mean.")
    ] = None,
    min_pt: MinPt = MIN_PT_GEV,
    epochs: Epochs = 25,
    batch_size: BatchSize = 256,
    learning_rate: LearningRate = 1e-3,
    scheduler: SchedulerName = "onecycle",
    weight_decay: WeightDecay = 0.01,
    decay_all: Annotated[
        bool, typer.Option("--decay-all", help="Decay norms, biases and class token too, as published.")
    ] = False,
    clip_norm: Annotated[float | None, typer.Option(help="Longest gradient; as it is if not given.")] = None,
    precision: Precision = "fp32",
    patience: Patience = 4,
    augment: Annotated[
        bool, typer.Option("--augment", help="Turn and mirror jets anew in every epoch: for small samples.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Of the weights and the order of jets.")] = 0,
    resume: Annotated[
        bool, typer.Option(help="Go on from OUT.partial, which a killed training has left; or begin anew.")
    ] = True,
    stream: Annotated[
        bool, typer.Option("--stream", help="Leave the jets on disk; so are those of more than one file.")
    ] = False,
    device: Device = "auto",
    compiled: Annotated[
        bool, typer.Option("--compile", help="Use torch.compile: for long trainings, on a GPU above all.")
    ] = False,
    tensorboard: Annotated[
        Path | None, typer.Option(help="Folder for TensorBoard's log of losses and accuracy.")
    ] = None,
    write_config: WriteConfig = None,
    as_json: AsJson = False,
) -> None:
    """Train on the training split and keep the weights of the epoch with the best validation loss.

    Killed and run again, the same command goes on after the last whole epoch (OUT.partial).

    jetformer-model train jets.h5 --preset tiny --out tiny.safetensors

    jetformer-model train jets.h5 --preset trigger-16 --attention relu --out trigger.safetensors

    jetformer-model train --config train.toml --seed 1 --out second.safetensors

    torchrun --nproc-per-node 2 -m jetformer_model train 'jets/*.h5' --preset jetclass --out large.safetensors
    """
    if write_config:
        write_configuration(write_config, context)
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
    jetformer = preset_name not in OTHER_TAGGERS
    chosen = {
        "blocks": blocks,
        "embed_dim": embed_dim,
        "heads": heads,
        "feedforward_ratio": feedforward_ratio,
        "dropout": dropout,
        "norm": norm,
        "activation": activation,
        "attention": attention,
        "queries": queries,
        "pooling": pooling,
    }
    sizes = {name: value for name, value in chosen.items() if value is not None}
    allowed = OPTIONS_OF_JETFORMER if jetformer else TAGGERS[preset_name].options
    if others := [name for name in sizes if name not in allowed]:
        raise ModelError(f"--{others[0].replace('_', '-')} is no option of {preset_name}")
    if jetformer:
        shape = preset(preset_name, features=len(names), classes=1, constituents=constituents, **sizes)
        constituents = shape.constituents
    jets = training_data(
        data,
        constituents=constituents or TAGGERS[preset_name].constituents,
        features=names,
        min_pt_gev=min_pt,
        stream=stream,
        ragged=jetformer,
    )
    tagger = dataclasses.replace(shape, classes=len(jets.class_names)) if jetformer else preset_name
    checkpoint = out.with_name(f"{out.name}.partial")
    board = tensorboard_log(tensorboard) if tensorboard else None

    def log(history: Sequence[Epoch]) -> None:
        write_history(out.with_suffix(".csv"), history)
        if board:
            board(history)

    with processes(device) as process:
        if not resume and process.is_first:
            checkpoint.unlink(missing_ok=True)
        result = training.train(
            jets,
            tagger,
            sizes=sizes,
            recipe=recipe,
            augment=augment,
            run=training.Run(checkpoint, process.is_first, process=process, compiled=compiled),
            after_epoch=log,
        )
        if not process.is_first:
            return
    provenance = {
        "command": "jetformer-model train",
        "options": options(context),
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
    show({"state": str(out)} | dataclasses.asdict(result.best), as_json)
