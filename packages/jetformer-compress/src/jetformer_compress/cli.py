"""The `jetformer-compress` command."""

from jetformer_compress.commands import (  # each adds itself to the application
    bench,
    binarize,
    prune,
    quantize,
)
from jetformer_compress.commands.application import app, main

__all__ = ["app", "bench", "binarize", "main", "prune", "quantize"]
