"""`jetformer-compress binarize`."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from jetformer_compress import binarisation, held_out
from jetformer_compress.binarisation import RECIPE, binarizable
from jetformer_compress.commands.application import (
    AsJson,
    Device,
    Out,
    Seed,
    app,
    checkpoint_of,
    finish,
    require_device,
)
from jetformer_compress.errors import CompressError
from jetformer_data.padding import FEATURES
from jetformer_model.config import PRESETS, Architecture, preset
from jetformer_model.dataset import MIN_PT_GEV, TaggingData, tagging_data, tagging_data_for
from jetformer_model.distributed import processes
from jetformer_model.network import JetFormer
from jetformer_model.one_bit import OneBit
from jetformer_model.state import load, require_folder
from jetformer_model.training import Run


@app.command()
def binarize(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="[STATE] DATA",
            help="Jets (array schema, HDF5); before them, if there is one, the float state to make small and compare with.",
        ),
    ],
    out: Out,
    preset_name: Annotated[
        str, typer.Option("--preset", help=f"Without STATE: one of {', '.join(PRESETS)}.")
    ] = "150p",
    constituents: Annotated[
        int | None, typer.Option(help="Without STATE: the preset's if not given.")
    ] = None,
    features: Annotated[
        str, typer.Option(help="Without STATE: names of features, separated by commas.")
    ] = ",".join(FEATURES),
    min_pt: Annotated[float, typer.Option(help="Without STATE: drop constituents below, GeV.")] = MIN_PT_GEV,
    warm_start: Annotated[
        bool, typer.Option("--warm-start", help="Begin with the weights of STATE, not from scratch.")
    ] = False,
    power_of_two: Annotated[
        bool, typer.Option("--power-of-two", help="Scales of weights and activations are powers of two.")
    ] = False,
    normalise: Annotated[
        bool, typer.Option("--normalise", help="BitNet's form: normalise activations before rounding.")
    ] = False,
    epochs: Annotated[int, typer.Option(help="At most so many.")] = RECIPE.epochs,
    batch_size: Annotated[int, typer.Option(help="Jets a step.")] = RECIPE.batch_size,
    learning_rate: Annotated[float, typer.Option(help="The highest.")] = RECIPE.learning_rate,
    patience: Annotated[
        int, typer.Option(help="Epochs without improvement before stopping.")
    ] = RECIPE.patience,
    seed: Seed = 0,
    device: Device = "auto",
    compiled: Annotated[bool, typer.Option("--compile", help="Use torch.compile: on a GPU.")] = False,
    as_json: AsJson = False,
) -> None:
    """Train with weights of one bit and activations of eight: a tenth of the memory and less.

    jetformer-compress binarize jets.h5 --preset 150p --constituents 8 --out one-bit.safetensors

    jetformer-compress binarize float.safetensors jets.h5 --out one-bit.safetensors

    With a float state its architecture and normalisation are taken, and the test accuracies of both are compared at the end.
    Killed and run again, the same command goes on after the last whole epoch (OUT.partial).
    """
    require_folder(out)
    require_device(device)
    if len(files) > 2:
        raise CompressError(f"expected DATA, or STATE and DATA, got {len(files)} files")
    *before, data = files
    if warm_start and not before:
        raise CompressError("--warm-start: from which weights? Give a float state before the jets")
    reference = load(before[0]) if before else None
    held_out.require_test_jets(data)
    if reference:
        network = binarizable(reference)
        jets = tagging_data_for(reference, data)
        start: Architecture | JetFormer = network if warm_start else network.architecture
    else:
        jets, start = _from_scratch(data, preset_name, constituents, features, min_pt)
    form = OneBit(power_of_two, normalise)
    recipe = dataclasses.replace(
        RECIPE,
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        patience=patience,
        seed=seed,
    )
    with processes(device) as process:
        run = Run(checkpoint_of(out), progress=True, process=process, compiled=compiled)
        result = binarisation.binarize(jets, start, form, recipe, run)
        test = held_out.compare(reference, result.state, data, process.device)
    settings = {"form": dataclasses.asdict(form), "warm_start": warm_start}
    settings |= {"recipe": dataclasses.asdict(recipe)}
    if reference:
        state = dataclasses.replace(result.state, provenance=reference.provenance)
        result = dataclasses.replace(result, state=state)
    finish("binarize", out, files[0], result, settings, as_json, test)


def _from_scratch(
    data: Path, preset_name: str, constituents: int | None, features: str, min_pt: float
) -> tuple[TaggingData, Architecture]:
    names = tuple(name.strip() for name in features.split(","))
    shape = preset(preset_name, features=len(names), classes=1, constituents=constituents)
    jets = tagging_data(data, constituents=shape.constituents, features=names, min_pt_gev=min_pt)
    return jets, dataclasses.replace(shape, classes=len(jets.class_names))
