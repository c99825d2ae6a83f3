"""`jetformer-model flops`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from jetformer_model.commands.application import AsJson, Constituents, PresetName, app, show
from jetformer_model.config import preset
from jetformer_model.flops import parameters
from jetformer_model.network import JetFormer
from jetformer_model.state import load
from jetformer_model.taggers import counting
from jetformer_model.taggers.tagger import Tagger


@app.command()
def flops(
    state: Annotated[Path | None, typer.Argument(help="A state file; without it, the preset.")] = None,
    preset_name: PresetName = "tiny",
    constituents: Constituents = None,
    features: Annotated[int, typer.Option(help="Features a constituent (preset only).")] = 3,
    classes: Annotated[int, typer.Option(help="Classes (preset only).")] = 5,
    as_json: AsJson = False,
) -> None:
    """FLOPs (1 multiply-accumulate = 1 FLOP) and parameters, of a quantised network those of its float form.

    jetformer-model flops --preset 150p --constituents 16
    """
    network: JetFormer | Tagger
    if state is not None:
        network = load(state).float_form
    else:
        network = JetFormer(
            preset(preset_name, features=features, classes=classes, constituents=constituents)
        )
    found = {"flops": counting.flops(network), "parameters": counting.parameters(network)}
    if isinstance(network, JetFormer):
        found["parameters_published_convention"] = parameters(network.architecture, "published")
    show(found, as_json)
