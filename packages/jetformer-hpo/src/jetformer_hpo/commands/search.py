"""`jetformer-hpo search`."""

from __future__ import annotations

import dataclasses
import signal
import sys
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from jetformer_data.padding import FEATURES
from jetformer_hpo import findings, front_table, objectives, trial
from jetformer_hpo.commands.application import app
from jetformer_hpo.constraints import parse
from jetformer_hpo.errors import SearchError
from jetformer_hpo.samplers import make_sampler
from jetformer_hpo.search import Search
from jetformer_hpo.space import load_space
from jetformer_hpo.study import LOST, agree_on, failures, make_study, open_storage
from jetformer_model.dataset import MIN_PT_GEV, file_sha256
from jetformer_model.training import Recipe


@app.command()
def search(
    data: Annotated[Path, typer.Argument(help="Jets in the array schema (HDF5), from jetformer-data.")],
    trials: Annotated[int, typer.Option(min=1, help="Different points to train in all.")],
    space: Annotated[str, typer.Option(help="paper, trigger, a .toml file or module:function.")] = "paper",
    sampler: Annotated[str, typer.Option(help="nsga2, nsga3, tpe, botorch, random or grid.")] = "nsga2",
    workers: Annotated[int, typer.Option(min=1, help="Trials at a time.")] = 1,
    out: Annotated[Path, typer.Option(help="Folder for the study and a folder a trial.")] = Path("search"),
    storage: Annotated[
        str | None, typer.Option(help="SQLite file or database URL instead of the one in --out.")
    ] = None,
    objective: Annotated[
        str, typer.Option("--objectives", help="Names with commas, the accuracy first.")
    ] = "accuracy,flops",
    constraint: Annotated[list[str] | None, typer.Option(help='Such as "accuracy>=0.65".')] = None,
    time_limit: Annotated[float, typer.Option(help="Seconds a trial.")] = float("inf"),
    epochs: Annotated[int, typer.Option(min=1, help="At most so many for each point.")] = 25,
    batch_size: Annotated[int, typer.Option(min=1, help="Jets a step.")] = 256,
    constituents: Annotated[int, typer.Option(min=1, help="Constituents a jet.")] = 8,
    features: Annotated[str, typer.Option(help="Names of features, with commas.")] = ",".join(FEATURES),
    norm: Annotated[str, typer.Option(help="batch (hardware) or layer (offline).")] = "batch",
    activation: Annotated[str, typer.Option(help="relu (hardware) or silu (offline).")] = "relu",
    seed: Annotated[int, typer.Option(help="Of the search, the weights and the order of jets.")] = 0,
) -> None:
    """Train up to --trials points and print the Pareto front. Run again to go on where it stopped.

    jetformer-hpo search jets.h5 --trials 20 --workers 2 --out search
    """
    points = load_space(space)
    names = [name.strip() for name in objective.split(",")]
    if len(set(names)) < len(names):
        raise SearchError(f"objectives: one is named twice in {objective}")
    directions = objectives.directions(names)
    constraints = [parse(text) for text in constraint or ()]
    measured = list(dict.fromkeys([*names, *(one.quantity for one in constraints)]))
    objectives.directions(measured)  # all must be known before the work
    for point in points:
        trial.check_settings(points.settings(point))
    make_sampler(sampler, seed=seed, space=points)  # what is wrong with it is said before there is a study
    request = {
        "data": [str(data.resolve())],
        "features": [name.strip() for name in features.split(",")],
        "min_pt_gev": MIN_PT_GEV,
        "constituents": constituents,
        "norm": norm,
        "activation": activation,
        "recipe": dataclasses.asdict(Recipe(epochs=epochs, batch_size=batch_size, seed=seed)),
        "objectives": measured,
        "seed": seed,
    }
    settings = {
        "space": points.as_dict(),
        "objectives": names,
        "constraints": [str(one) for one in constraints],
        "data_sha256": [file_sha256(data)],
        "request": request,
    }
    with open_storage(storage or out / "study.sqlite3", create=True) as database:
        study = make_study(database, directions, names)
        agree_on(study, settings)
        known = len(study.get_trials(deepcopy=False))
        # A search that goes on does not draw its beginning once more.
        state = int(np.random.SeedSequence([seed, known]).generate_state(1)[0])
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=Console(stderr=True)) as bar:
            task = bar.add_task("points", total=min(trials, len(points)))
            going = Search(
                database,
                study,
                points,
                names,
                make_sampler(sampler, seed=state, space=points),
                trial.run,
                request,
                out / "trials",
                trials,
                workers=workers,
                time_limit=time_limit,
                constraints=constraints,
                seed=seed,
                progress=lambda done: bar.update(task, completed=done),
            )
            signal.signal(signal.SIGTERM, signal.default_int_handler)  # as batch systems end a job
            try:
                going.run()
            except KeyboardInterrupt:
                print("jetformer-hpo: stopped; the same command goes on from here", file=sys.stderr)
                raise typer.Exit(130) from None
            except LOST as error:
                raise SearchError(
                    f"the storage was lost ({error}); the same command goes on from here"
                ) from error
        found = findings.read(study)
        failed = failures(study.get_trials(deepcopy=False), points)
    if failed:
        number, reason = max(failed.items())
        print(f"jetformer-hpo: {len(failed)} points failed, the last ({number}): {reason}", file=sys.stderr)
    if not found.candidates:
        raise SearchError("no trial has finished, so there is no front")
    Console().print(front_table.as_text(found))
