"""`jetformer-hpo front`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from jetformer_hpo import findings, front_table
from jetformer_hpo.commands.application import AsJson, StudyFile, app
from jetformer_hpo.errors import SearchError
from jetformer_hpo.front_plot import draw_front


@app.command()
def front(
    study: StudyFile,
    csv: Annotated[Path | None, typer.Option(help="Write all candidates, with all digits.")] = None,
    latex: Annotated[Path | None, typer.Option(help="Write the front as a table for booktabs.")] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Draw all candidates (.png, .pdf, .svg); needs extra plot.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Print what nothing else beats in all objectives; with accuracies of other seeds after `confirm`.

    jetformer-hpo front search/study.sqlite3 --plot front.png --csv front.csv
    """
    with findings.opened(study) as opened:
        found = findings.read(opened)
    try:
        if csv:
            front_table.write_csv(found, csv)
        if latex:
            latex.write_text(front_table.as_latex(found), encoding="utf-8")
    except OSError as error:
        raise SearchError(f"{error.filename}: cannot be written ({error.strerror})") from error
    if plot:
        draw_front(found, plot)
    front_table.show(found, as_json)
