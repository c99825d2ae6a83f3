"""What all commands share: the application, its options, its errors."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from rich.console import Console

from jetformer_data.errors import DataError
from jetformer_hpo.errors import SearchError
from jetformer_model.errors import ModelError

app = typer.Typer(
    help="Search architectures: accuracy up, cost down.  Start with: jetformer-hpo search jets.h5 --trials 20",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
console = Console()

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
