"""The `jetformer-model` command."""

from jetformer_model.commands import (  # each adds itself to the application
    compare,
    evaluate,
    explain,
    export,
    flops,
    predict,
    summary,
    train,
)
from jetformer_model.commands.application import app, main

__all__ = ["app", "compare", "evaluate", "explain", "export", "flops", "main", "predict", "summary", "train"]
