"""`jetformer-model flops`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from jetformer_model.commands.application import AsJson, Constituents, PresetName, app, show
from jetformer_model.config import preset
from jetformer_model.flops import flops as count_flops
from jetformer_model.flops import parameters
from jetformer_model.state import load


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
    show(
        {
            "flops": count_flops(architecture),
            "parameters": parameters(architecture),
            "parameters_published_convention": parameters(architecture, "published"),
        },
        as_json,
    )
