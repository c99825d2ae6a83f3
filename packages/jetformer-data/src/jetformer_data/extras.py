"""Optional dependencies, imported where they are needed; an absent one is a sentence that says what to install."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

from jetformer_data.errors import MissingExtraError


def require(module: str, extra: str) -> ModuleType:
    """The imported module, or `MissingExtraError` naming the extra of this package that brings it."""
    try:
        return import_module(module)
    except ImportError as error:
        raise MissingExtraError(
            f"{module} is not installed or cannot be loaded ({error}); install it with: "
            f"pip install 'jetformer-data[{extra}]'"
        ) from error


def require_installed(module: str, extra: str) -> None:
    """Raise `MissingExtraError` unless the module can be found; it is not imported."""
    try:
        found = find_spec(module) is not None
    except ValueError:  # the module is blocked in sys.modules
        found = False
    if not found:
        raise MissingExtraError(
            f"{module} is not installed; install it with: pip install 'jetformer-data[{extra}]'"
        )
