"""What all commands share: the application, the errors, the progress bar."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
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

from jetformer_data.errors import DataError

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False)

AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON on standard output.")]


@app.callback()
def main() -> None:
    """Make, look at and check jets, for example:

    jetformer-data generate --jets 10000 --seed 1 --workers 2 jets.h5
    """


@contextmanager
def one_sentence() -> Iterator[None]:
    """Turns errors on purpose into a sentence on standard error and exit code 1."""
    try:
        yield
    except (DataError, OSError) as error:
        typer.echo(" ".join(str(error).split()), err=True)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        typer.echo("stopped; what is finished is kept, and the same command goes on from there", err=True)
        raise typer.Exit(130) from None


@contextmanager
def progress_bar(jets: int | None = None) -> Iterator[Callable[..., None]]:
    """A bar on a terminal; the function moves it: `advance(done)`, or `advance(done, total)` once the total is known."""
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

        def advance(done: int, total: int | None = None) -> None:
            bar.update(task, completed=done, total=total)

        yield advance
