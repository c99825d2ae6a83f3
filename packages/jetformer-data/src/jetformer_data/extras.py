"""Optional dependencies, imported where they are needed; an absent one is a sentence that says what to install."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

from jetformer_data.errors import MissingExtraError


def require(
    module: str,
    extra: str,
    package: str = "jetformer-data",
    error: type[Exception] = MissingExtraError,
) -> ModuleType:
    """The imported module, or `error` naming the extra of the package that brings it."""
    try:
        return import_module(module)
    except ImportError as reason:
        raise error(
            f"{module} is not installed or cannot be loaded ({reason}); install it with: "
            f"pip install '{package}[{extra}]'"
        ) from reason


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
