"""The `jetformer-compress` command."""

from jetformer_compress.commands import binarize, prune, quantize  # each adds itself to the application
from jetformer_compress.commands.application import app, main

__all__ = ["app", "binarize", "main", "prune", "quantize"]
