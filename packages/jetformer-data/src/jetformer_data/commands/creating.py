"""Commands that write files of jets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from jetformer_data.commands.application import AsJson, app, one_sentence, progress_bar


@app.command()
def generate(
    out: Annotated[Path, typer.Argument(help="The file to write.")],
    jets: Annotated[int, typer.Option(help="Number of jets, over all classes.")] = 10_000,
    style: Annotated[str, typer.Option(help="Which public set to imitate.")] = "hls4ml",
    seed: Annotated[int, typer.Option(help="Same seed, same jets, whatever the number of workers.")] = 1,
    workers: Annotated[int, typer.Option(help="Processes to use, about 190 MB each.")] = 1,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a finished file.")] = False,
    substructure: Annotated[
        bool, typer.Option("--substructure", help="Add soft-drop mass and N-subjettiness, a tenth slower.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Simulate collisions, a detector and jets. When it was interrupted, the same command goes on.

    jetformer-data generate --style hls4ml --jets 10000 --seed 1 --workers 2 jets.h5
    """
    from jetformer_data import generation

    with one_sentence(), progress_bar(jets) as advance:
        outcome = generation.generate(
            out, jets, seed, style, workers, overwrite, progress=advance, substructure=substructure
        )
    rate = outcome.jets / outcome.cpu_seconds if outcome.cpu_seconds and not outcome.reused else None
    if as_json:
        typer.echo(
            json.dumps(
                {
                    "path": str(outcome.path),
                    "jets": outcome.jets,
                    "reused": outcome.reused,
                    "seconds": outcome.seconds,
                    "cpu_seconds": outcome.cpu_seconds,
                    "jets_per_cpu_second": rate,
                }
            )
        )
    elif outcome.reused == outcome.jets and not outcome.seconds:
        typer.echo(
            f"{out}: is complete already ({outcome.jets:,} jets); pass --overwrite to make it again", err=True
        )
    else:
        pace = f", {rate:.0f} jets per CPU second" if rate else f", {outcome.reused:,} from an earlier run"
        typer.echo(f"{out}: {outcome.jets:,} jets in {outcome.seconds:.0f} s{pace}", err=True)
