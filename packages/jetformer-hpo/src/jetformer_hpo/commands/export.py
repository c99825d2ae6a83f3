"""`jetformer-hpo export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from jetformer_hpo import findings
from jetformer_hpo.commands.application import StudyFile, app
from jetformer_hpo.configuration import as_toml
from jetformer_hpo.errors import SearchError


@app.command()
def export(
    study: StudyFile,
    out: Annotated[Path, typer.Argument(help="Where to write the configuration (TOML).")],
    pick: Annotated[
        str,
        typer.Option(
            help="smallest-feasible: the least of the first cost; knee: farthest from the line between the front's ends, "
            "costs logarithmically; or the number of a trial."
        ),
    ] = "smallest-feasible",
    seed: Annotated[int | None, typer.Option(help="Of the new training; the trial's if not given.")] = None,
) -> None:
    """Write one network of the search as a configuration of `jetformer-model train`.

    jetformer-hpo export search/study.sqlite3 small.toml --pick smallest-feasible

    jetformer-model train --config small.toml --out small.safetensors
    """
    with findings.opened(study) as opened:
        found = findings.read(opened)
        chosen = found.pick(pick)
    text = as_toml(chosen, found.request, chosen.seed if seed is None else seed)
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise SearchError(f"{out}: cannot be written ({error.strerror})") from error
    typer.echo(
        f"{out}: trial {chosen.trial}; train it with: jetformer-model train --config {out} --out network.safetensors"
    )
