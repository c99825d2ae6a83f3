"""Optional dependencies, imported where they are needed; an absent one is a sentence that says what to install."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from .errors import ToolError


def require(module: str, extra: str) -> ModuleType:
    """The imported module. Raises ToolError, naming the extra of this package that brings it."""
    try:
        return import_module(module)
    except ImportError as error:
        raise ToolError(
            f"{module} is not installed or cannot be loaded ({error}); install it with: "
            f"pip install 'jetformer-fpga[{extra}]'"
        ) from error
