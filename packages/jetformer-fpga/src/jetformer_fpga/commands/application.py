"""What the commands share: the application, its options, the screen, progress bars."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table

from ..errors import FpgaError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Fixed-point networks to pipelined Verilog, proven equal bit by bit.",
)
screen = Console(stderr=True)

StateFile = Annotated[Path, typer.Argument(help="Fixed-point state (.safetensors).")]
Firmware = Annotated[Path, typer.Argument(metavar="DIR", help="Firmware project made by `synth`.")]
Split = Annotated[str, typer.Option(help="train, validation, test or all.")]
ClockMhz = Annotated[
    float, typer.Option(help="Assumed clock in MHz, for latency in ns; not a timing result.")
]
Again = Annotated[
    bool, typer.Option("--again", help="Also where the same succeeded before and nothing was changed.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


@contextmanager
def task(name: str) -> Iterator[Any]:
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=screen, transient=not screen.is_terminal) as bars:
        bar = bars.add_task(name, total=None)
        yield lambda done, total: bars.update(bar, completed=done, total=total)
        bars.update(bar, total=1, completed=1)


def show_rows(title: str, found: dict[str, Any], rows: Sequence[tuple[str, str, str]], as_json: bool) -> None:
    """What was found: `found` as JSON, or for people its rows of quantity, value and source."""
    if as_json:
        print(json.dumps(found, indent=1))
        return
    table = Table("quantity", "value", "source", title=title)
    for row in rows:
        table.add_row(*row)
    Console().print(table)


def words_of(text: str, kind: type) -> list[str]:
    """Words with commas between them, each of which `kind` must take."""
    words = [word.strip() for word in text.split(",") if word.strip()]
    try:
        for word in words:
            kind(word)
    except ValueError:
        raise FpgaError(f"'{text}': expected numbers with commas between them.") from None
    return words
