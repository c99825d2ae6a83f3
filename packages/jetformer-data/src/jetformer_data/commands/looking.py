"""Commands that look at files of jets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from jetformer_data import schema
from jetformer_data.commands.application import AsJson, app, one_sentence

File = Annotated[Path, typer.Argument(help="A file of jets (array schema, HDF5).")]


@app.command()
def inspect(file: File, as_json: AsJson = False) -> None:
    """Show jets a class, multiplicities, ranges and provenance.

    jetformer-data inspect jets.h5
    """
    from jetformer_data import inspection

    with one_sentence():
        summary = inspection.inspect(file)
    if as_json:
        typer.echo(json.dumps(summary))
    else:
        Console().print(inspection.render(summary))


@app.command()
def plot(
    file: File,
    out: Annotated[Path, typer.Option(help="Folder for the pictures.")] = Path("plots"),
    as_json: AsJson = False,
) -> None:
    """Draw jet mass, pt, multiplicity and a jet image a class.

    jetformer-data plot jets.h5 --out plots
    """
    from jetformer_data import plotting

    with one_sentence():
        written = [str(path) for path in plotting.plot(file, out)]
    typer.echo(json.dumps(written) if as_json else "\n".join(written))


@app.command()
def check(file: File) -> None:
    """Read the whole file and say whether it follows the array schema.

    jetformer-data check jets.h5
    """
    with one_sentence():
        schema.check(file)
    typer.echo(f"{file}: follows the array schema {schema.VERSION}")
