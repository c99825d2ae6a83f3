"""`jetformer-compress quantize`."""

from __future__ import annotations

import dataclasses
from typing import Annotated

import typer

from jetformer_compress import quantisation
from jetformer_compress.calibration import Widths
from jetformer_compress.commands.application import (
    AsJson,
    DataFile,
    Out,
    Seed,
    StateFile,
    app,
    checkpoint_of,
    finish,
)
from jetformer_model.dataset import tagging_data_for
from jetformer_model.state import load, require_folder


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
        loaded, tagging_data_for(loaded, data), widths, recipe, checkpoint=checkpoint_of(out), progress=True
    )
    settings = {"widths": dataclasses.asdict(widths), "recipe": dataclasses.asdict(recipe)}
    finish("quantize", out, state, result, settings, as_json)
