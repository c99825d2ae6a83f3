"""Training with weights of one bit: BitLinear (`jetformer_model.one_bit`) in the blocks, embedding and head in float32."""

from __future__ import annotations

import dataclasses

import torch

from jetformer_compress.errors import CompressError
from jetformer_model.config import Architecture
from jetformer_model.dataset import TaggingData
from jetformer_model.network import JetFormer
from jetformer_model.one_bit import OneBit, OneBitJetFormer
from jetformer_model.state import State
from jetformer_model.training import QUIET, Recipe, Run, TrainingResult, fit

# As published: from scratch, with the rate lowered wherever the validation loss stops falling.
RECIPE = Recipe(
    epochs=80,
    batch_size=128,
    learning_rate=8e-4,
    patience=12,
    scheduler="plateau",
    plateau_factor=0.8,
    plateau_patience=5,
    beta2=0.98,
)


def binarize(
    data: TaggingData,
    start: Architecture | JetFormer,
    form: OneBit | None = None,
    recipe: Recipe = RECIPE,
    run: Run = QUIET,
) -> TrainingResult:
    """Train a one-bit JetFormer: from scratch if `start` is an architecture, from its weights if it is a network.

    The result holds W_b alone, as a file does.
    """
    torch.manual_seed(recipe.seed)
    network = OneBitJetFormer(start if isinstance(start, Architecture) else start.architecture, form)
    if isinstance(start, JetFormer):
        network.load_state_dict(start.state_dict())
    run = dataclasses.replace(run, title="one-bit training")
    history, best = fit(network, data.train, data.validation, recipe, run)
    state = State(network.freeze(), data.inputs, data.class_names, best.metrics)
    return TrainingResult(state, history, best)


def binarizable(state: State) -> JetFormer:
    """The network of a float JetFormer. Raises CompressError for any other."""
    if state.kind == "one_bit":
        raise CompressError("the weights of this network have one bit already")
    if state.kind != "float" or not isinstance(state.network, JetFormer):
        kind = "fixed-point network" if state.kind != "float" else state.name
        raise CompressError(f"only float JetFormers can be given one-bit weights, and this is a {kind}")
    return state.network
