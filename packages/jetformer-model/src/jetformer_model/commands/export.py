"""`jetformer-model export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from jetformer_model import onnx_export
from jetformer_model.commands.application import AsJson, StateFile, app, show


@app.command()
def export(
    state: StateFile,
    out: Annotated[Path, typer.Option(help="Where to write the graph (.onnx).")],
    output: Annotated[
        str, typer.Option(help=f"What the graph gives: {', '.join(onnx_export.OUTPUTS)}.")
    ] = "probabilities",
    normalised: Annotated[
        bool,
        typer.Option("--normalised", help="Take features that are already normalised, not physical ones."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """The network as an ONNX graph: `constituents` [jets, P, F] and `mask` [jets, P] (True = real) in.

    jetformer-model export tiny.safetensors --out tiny.onnx

    Features are in physical units and normalised inside; padding is never read. The graph's metadata say what it needs.
    """
    metadata = onnx_export.export(state, out, output=output, normalised=normalised)  # type: ignore[arg-type]
    show({"out": str(out), **metadata}, as_json)
