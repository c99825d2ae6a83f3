"""The command `jetformer-fpga`."""

from __future__ import annotations

import sys

from jetformer_data.errors import DataError

from . import commands
from .commands.application import app
from .errors import FpgaError

__all__ = ["app", "commands", "main"]


def main() -> None:
    """The console script: a known error is one sentence on standard error and exit code 1."""
    try:
        app()
    except (FpgaError, DataError) as error:
        print(f"jetformer-fpga: {error}", file=sys.stderr)
        sys.exit(1)
