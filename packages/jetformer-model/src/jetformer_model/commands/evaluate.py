"""`jetformer-model evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import torch
import typer
from safetensors.torch import save_file

from jetformer_model import training
from jetformer_model.commands.application import AsJson, DataFile, StateFile, app, show
from jetformer_model.dataset import open_split
from jetformer_model.metrics import summarise
from jetformer_model.state import load, require_folder


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
    jets = open_split(data, split, loaded.inputs, loaded.constituents, loaded.class_names)
    scores = training.predict(loaded.network, jets)
    if logits is not None:
        save_file(
            {"logits": torch.from_numpy(scores), "labels": jets.labels, "jet_index": jets.index}, logits
        )
    show(summarise(scores, jets.labels.numpy(), loaded.class_names), as_json)
