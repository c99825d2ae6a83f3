"""`jetformer-model predict`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import torch
import typer
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from jetformer_model import training
from jetformer_model.commands.application import StateFile, app
from jetformer_model.dataset import Dataset
from jetformer_model.errors import ModelError
from jetformer_model.state import load, require_folder


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
    loaded = load(state)
    try:
        tensors = load_file(inputs)
        x, mask = tensors["inputs"], tensors["mask"]
    except (OSError, SafetensorError, KeyError) as error:
        raise ModelError(
            f"{inputs}: expected a .safetensors file with `inputs` and `mask` ({error})"
        ) from error
    shape = (loaded.constituents, len(loaded.inputs.features))
    if x.dim() != 3 or tuple(x.shape[1:]) != shape or mask.shape != x.shape[:2] or mask.dtype != torch.bool:
        raise ModelError(
            f"{inputs}: expected inputs [jets, {shape[0]}, {shape[1]}] and a bool mask, got {tuple(x.shape)}"
        )
    unlabelled = torch.zeros(len(x), dtype=torch.int64)
    scores = training.predict(loaded.network, Dataset(x, mask, unlabelled, unlabelled))
    save_file({"logits": torch.from_numpy(scores)}, out)
