"""`jetformer-hpo confirm`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from jetformer_hpo import findings, front_table
from jetformer_hpo.commands.application import AsJson, StudyFile, app
from jetformer_hpo.confirmation import confirm as run
from jetformer_hpo.confirmation import missing


@app.command()
def confirm(
    study: StudyFile,
    seeds: Annotated[int, typer.Option(min=1, help="Other seeds for each network of the front.")] = 5,
    workers: Annotated[int, typer.Option(min=1, help="Trainings at the same time.")] = 1,
    folder: Annotated[
        Path | None, typer.Option(help="Where the trainings are kept; beside an SQLite study if not given.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Train the front's networks with other seeds: the best of many noisy trials is too good to be true.

    jetformer-hpo confirm search/study.sqlite3 --seeds 5 --workers 2

    The results go into the study. Run again, it does what is missing.
    """
    place = folder or (Path("confirm") if "://" in study else Path(study).parent / "confirm")
    with findings.opened(study) as opened:
        with _progress_bar() as bar:
            task = bar.add_task("trainings", total=len(missing(findings.read(opened), seeds)))
            run(opened, seeds, place, workers, lambda: bar.advance(task))
        found = findings.read(opened)
    front_table.show(found, as_json)


def _progress_bar() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True))
