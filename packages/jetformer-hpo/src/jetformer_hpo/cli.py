"""The `jetformer-hpo` command."""

from jetformer_hpo.commands import (  # each adds itself to the application
    compare_samplers,
    confirm,
    export,
    front,
    search,
    tabulate,
)
from jetformer_hpo.commands.application import app, main

__all__ = ["app", "compare_samplers", "confirm", "export", "front", "main", "search", "tabulate"]
