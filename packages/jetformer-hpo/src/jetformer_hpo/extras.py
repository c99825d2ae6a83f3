"""Optional dependencies, imported where they are needed; an absent one is a sentence that says what to install."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from jetformer_hpo.errors import SearchError


def require(module: str, extra: str) -> Any:
    """The imported module, or SearchError naming the extra of this package that brings it."""
    try:
        return import_module(module)
    except ImportError as error:
        raise SearchError(
            f"{module} is not installed or cannot be loaded ({error}); "
            f"install it with: pip install 'jetformer-hpo[{extra}]'"
        ) from error
