"""The command `jetformer-data`. A failure is one sentence on standard error and an exit code that is not 0."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from jetformer_data import schema
from jetformer_data.errors import DataError

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False)

File = Annotated[Path, typer.Argument(help="A file of jets (array schema, HDF5).")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON on standard output.")]


@app.callback()
def main() -> None:
    """Make, look at and check jets, for example:

    jetformer-data generate --jets 10000 --seed 1 --workers 2 jets.h5
    """


@app.command()
def generate(
    out: Annotated[Path, typer.Argument(help="The file to write.")],
    jets: Annotated[int, typer.Option(help="Number of jets, over all classes.")] = 10_000,
    style: Annotated[str, typer.Option(help="Which public set to imitate.")] = "hls4ml",
    seed: Annotated[int, typer.Option(help="Same seed, same jets, whatever the number of workers.")] = 1,
    workers: Annotated[int, typer.Option(help="Processes to use, about 190 MB each.")] = 1,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a finished file.")] = False,
    as_json: AsJson = False,
) -> None:
    """Simulate collisions, a detector and jets. When it was interrupted, the same command goes on.

    jetformer-data generate --style hls4ml --jets 10000 --seed 1 --workers 2 jets.h5
    """
    from jetformer_data import generation

    with _one_sentence(), _progress(jets) as advance:
        outcome = generation.generate(out, jets, seed, style, workers, overwrite, progress=advance)
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


@app.command()
def inspect(file: File, as_json: AsJson = False) -> None:
    """Show jets a class, multiplicities, ranges and provenance.

    jetformer-data inspect jets.h5
    """
    from jetformer_data import inspection

    with _one_sentence():
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

    with _one_sentence():
        written = [str(path) for path in plotting.plot(file, out)]
    typer.echo(json.dumps(written) if as_json else "\n".join(written))


@app.command()
def check(file: File) -> None:
    """Read the whole file and say whether it follows the array schema.

    jetformer-data check jets.h5
    """
    with _one_sentence():
        schema.check(file)
    typer.echo(f"{file}: follows the array schema {schema.VERSION}")


@contextmanager
def _one_sentence() -> Iterator[None]:
    try:
        yield
    except (DataError, OSError) as error:
        typer.echo(" ".join(str(error).split()), err=True)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        typer.echo("stopped; what is finished is kept, and the same command goes on from there", err=True)
        raise typer.Exit(130) from None


@contextmanager
def _progress(jets: int) -> Iterator[Callable[[int], None]]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    # Where there is no terminal to draw on, standard error is kept for sentences.
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("jets", total=jets)
        yield lambda done: bar.update(task, completed=done)
