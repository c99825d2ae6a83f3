"""The command `jetformer-data`."""

import typer

app = typer.Typer(no_args_is_help=True)


@app.callback()
def main() -> None:
    """Make, read and check jets."""
