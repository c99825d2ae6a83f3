"""Commands that look at files of jets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from jetformer_data.commands.application import AsJson, app, one_sentence, progress_bar

File = Annotated[Path, typer.Argument(help="A file of jets, in any format that can be read.")]


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
    other: Annotated[
        Path | None, typer.Argument(help="A second file, laid over the first with ratios, class by class.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for the pictures.")] = Path("plots"),
    label: Annotated[
        list[str] | None, typer.Option(help="What to call a file in the pictures; once for each file.")
    ] = None,
    features: Annotated[
        str,
        typer.Option(
            help="Feature set to draw; 'stored': what the first file holds, or its format's own; 'none': none."
        ),
    ] = "stored",
    classes: Annotated[
        str,
        typer.Option(
            help="Only these classes, with commas; A=B where the second file calls A by the name B."
        ),
    ] = "",
    jets: Annotated[int | None, typer.Option(help="Only the first so many jets of a file.", min=1)] = None,
    picture_format: Annotated[str, typer.Option("--format", help="png, pdf or svg.")] = "png",
    as_json: AsJson = False,
) -> None:
    """Draw jet mass, pt, multiplicity, features and a jet image a class, of one file or of two laid over each other.

    jetformer-data plot simulated.h5 real.h5 --label simulated --label real --out plots
    """
    from jetformer_data import plotting

    with one_sentence():
        paths = plotting.plot(
            file,
            out,
            other,
            labels=tuple(label or ()),
            features=None if features == "none" else features,
            classes=tuple(name.strip() for name in classes.split(",") if name.strip()),
            jets=jets,
            picture_format=picture_format,
        )
    written = [str(path) for path in paths]
    typer.echo(json.dumps(written) if as_json else "\n".join(written))


@app.command()
def validate(file: File, as_json: AsJson = False) -> None:
    """Say what is wrong with a file, a verdict a line; exit code 1 where a line says FAIL.

    jetformer-data validate jets.h5
    """
    from jetformer_data import verdicts

    with one_sentence(), progress_bar() as advance:
        found = verdicts.validate(file, advance)
    is_valid = all(verdict.level != "FAIL" for verdict in found)
    if as_json:
        typer.echo(json.dumps({"path": str(file), "valid": is_valid, "checks": [v.as_dict() for v in found]}))
    else:
        typer.echo("\n".join(map(str, found)))
    if not is_valid:
        raise typer.Exit(1)
