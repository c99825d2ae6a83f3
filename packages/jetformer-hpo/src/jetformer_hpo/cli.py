"""The `jetformer-hpo` command."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from optuna.study import Study
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from jetformer_data.errors import DataError
from jetformer_data.padding import FEATURES
from jetformer_hpo.errors import SearchError
from jetformer_hpo.front import Candidate, most_accurate, pareto
from jetformer_hpo.search import objective
from jetformer_hpo.search import search as run_search
from jetformer_hpo.space import points
from jetformer_hpo.study import agree_on, candidates, failures, opened
from jetformer_model.config import Architecture
from jetformer_model.dataset import file_sha256
from jetformer_model.errors import ModelError
from jetformer_model.training import Recipe

app = typer.Typer(
    help="Search architectures: accuracy up, FLOPs down.  Start with: jetformer-hpo search jets.h5 --trials 20",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)

StudyFile = Annotated[
    str, typer.Argument(metavar="STUDY", help="The SQLite file of a search, or a database URL.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


def main() -> None:
    """Run the command; what is wrong with the input is one sentence on standard error and exit code 1."""
    try:
        app()
    except (SearchError, ModelError, DataError) as error:
        print(f"jetformer-hpo: {error}", file=sys.stderr)
        sys.exit(1)


@app.command()
def search(
    data: Annotated[Path, typer.Argument(help="Jets in the array schema (HDF5), from jetformer-data.")],
    trials: Annotated[
        int, typer.Option(min=1, help=f"Different points to train in all, at most {len(points())}.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for study.sqlite3 and front.json.")] = Path("search"),
    storage: Annotated[
        str | None, typer.Option(help="SQLite file or database URL instead of the one in --out.")
    ] = None,
    epochs: Annotated[int, typer.Option(min=1, help="At most so many for each point.")] = 25,
    batch_size: Annotated[int, typer.Option(min=1, help="Jets a step.")] = 256,
    constituents: Annotated[int, typer.Option(min=1, help="Constituents a jet.")] = 8,
    features: Annotated[str, typer.Option(help="Names of features, separated by commas.")] = ",".join(
        FEATURES
    ),
    norm: Annotated[str, typer.Option(help="batch (hardware) or layer (offline).")] = "batch",
    activation: Annotated[str, typer.Option(help="relu (hardware) or silu (offline).")] = "relu",
    seed: Annotated[int, typer.Option(help="Of the search, the weights and the order of jets.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Train up to --trials architectures and print the Pareto front. Run again to go on where it stopped.

    jetformer-hpo search jets.h5 --trials 20 --out search
    """
    names = tuple(name.strip() for name in features.split(","))
    evaluate = objective(
        data,
        Recipe(epochs=epochs, batch_size=batch_size, seed=seed),
        constituents=constituents,
        features=names,
        norm=norm,  # type: ignore[arg-type]  # Architecture refuses other words
        activation=activation,  # type: ignore[arg-type]
    )
    settings = {
        "data_sha256": file_sha256(data),
        "recipe": dataclasses.asdict(evaluate.recipe),
        "architecture": _fixed_part(evaluate.architecture(points()[0])),
        "features": list(names),
    }
    with opened(storage or out / "study.sqlite3", create=True, seed=seed) as study:
        agree_on(study, settings)
        with _progress_bar() as bar:
            task = bar.add_task("points", total=min(trials, len(points())))
            run_search(
                study, evaluate, trials, seed=seed, progress=lambda done: bar.update(task, completed=done)
            )
        found = _report(study)
        _write(out / "front.json", found)
        _print(study, found, as_json)
        if failed := failures(study):
            number, reason = max(failed.items())
            print(
                f"jetformer-hpo: {len(failed)} of the trials failed, the last ({number}): {reason}",
                file=sys.stderr,
            )
        if not candidates(study):
            raise SearchError("no trial has finished, so there is no front")


@app.command()
def front(study: StudyFile, as_json: AsJson = False) -> None:
    """Print the Pareto front of a search.

    jetformer-hpo front search/study.sqlite3
    """
    with opened(study) as opened_study:
        _print(opened_study, _report(opened_study), as_json)


@app.command()
def export(
    study: StudyFile,
    out: Annotated[Path, typer.Argument(help="Where to write the architecture (JSON).")],
    trial: Annotated[
        int | None, typer.Option(help="This trial's; otherwise the most accurate is taken.")
    ] = None,
    max_flops: Annotated[
        int | None, typer.Option(help="Of those that cost at most so many FLOPs a jet.")
    ] = None,
) -> None:
    """Write one architecture of the search, with all that rebuilds it.

    jetformer-hpo export search/study.sqlite3 best.json --max-flops 100000
    """
    with opened(study) as opened_study:
        found = candidates(opened_study)
        if trial is not None:
            found = [candidate for candidate in found if candidate.trial == trial]
            if not found:
                raise SearchError(
                    f"{study}: trial {trial} did not train a point; `jetformer-hpo front` lists those that did"
                )
        _write(out, _record(opened_study, most_accurate(found, max_flops)))


def _report(study: Study) -> dict[str, Any]:
    found = candidates(study)
    return {
        "settings": study.user_attrs.get("settings", {}),
        "trained": len(found),
        "failed": len(failures(study)),
        "front": [_record(study, candidate) for candidate in pareto(found)],
    }


def _record(study: Study, candidate: Candidate) -> dict[str, Any]:
    fixed = study.user_attrs["settings"]["architecture"]
    return {
        "trial": candidate.trial,
        "validation_accuracy": candidate.accuracy,
        "flops": candidate.flops,
        "architecture": candidate.point.architecture(**fixed).to_dict(),
    }


def _fixed_part(architecture: Architecture) -> dict[str, Any]:
    """What all points of a search have in common."""
    names = ("constituents", "features", "classes", "norm", "activation")
    return {name: getattr(architecture, name) for name in names}


def _print(study: Study, report: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print(json.dumps(report, indent=2))
        return
    table = Table(title=f"Pareto front of {report['trained']} trained points ({report['failed']} failed)")
    for heading in ("trial", "blocks", "embed_dim", "heads", "dropout", "FLOPs", "accuracy %"):
        table.add_column(heading, justify="right")
    for candidate in pareto(candidates(study)):
        point = candidate.point
        # fmt: off
        table.add_row(
            str(candidate.trial), str(point.blocks), str(point.embed_dim), str(point.heads), f"{point.dropout:g}",
            f"{candidate.flops:,}", f"{100 * candidate.accuracy:.2f}",
        )
        # fmt: on
    Console().print(table)


def _write(path: Path, content: dict[str, Any]) -> None:
    """JSON, under its name only when it is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".part")
    partial.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    os.replace(partial, path)


def _progress_bar() -> Progress:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=Console(stderr=True))
