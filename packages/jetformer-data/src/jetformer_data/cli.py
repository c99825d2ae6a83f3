"""The command `jetformer-data`. A failure is one sentence on standard error and an exit code that is not 0."""

from jetformer_data.commands import creating, looking  # each adds its commands to the application
from jetformer_data.commands.application import app

__all__ = ["app", "creating", "looking"]
