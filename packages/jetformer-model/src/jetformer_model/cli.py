"""The `jetformer-model` command."""

from jetformer_model.commands import evaluate, flops, predict, train  # each adds itself to the application
from jetformer_model.commands.application import app, main

__all__ = ["app", "evaluate", "flops", "main", "predict", "train"]
