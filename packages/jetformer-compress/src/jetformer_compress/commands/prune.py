"""`jetformer-compress prune`."""

from __future__ import annotations

import dataclasses
from typing import Annotated

import typer

from jetformer_compress import pruning
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
from jetformer_model.flops import flops
from jetformer_model.state import load, require_folder


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
    result = pruning.prune(loaded, jets, ratio, steps, recipe, checkpoint=checkpoint_of(out), progress=True)
    settings = {"ratio": ratio, "steps": steps, "recipe": dataclasses.asdict(recipe)}
    finish("prune", out, state, result, settings, as_json)
