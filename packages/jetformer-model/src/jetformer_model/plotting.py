"""Figures in the style of the field, and how they become files; needs the extra `plot`."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from jetformer_data import plotting
from jetformer_model.errors import ModelError
from jetformer_model.extras import require

FORMATS = ("png", "pdf")


def require_plots() -> None:
    """Raise ModelError if the extra `plot` is missing: to be asked before long work, not after it."""
    for module in ("matplotlib", "mplhep"):
        require(module, "plot")


def style() -> AbstractContextManager[None]:
    """The context that figures are made and written in."""
    require_plots()
    return plotting.style()


def new_figure(width: float, height: float) -> Any:
    """An empty figure of so many inches."""
    return require("matplotlib.figure", "plot").Figure(figsize=(width, height), layout="constrained")


def save_figures(figures: Mapping[str, Any], folder: Path) -> list[Path]:
    """Write each figure as NAME.png and NAME.pdf; returns their paths. To be called within `style`."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ModelError(f"{folder}: cannot be used as a folder for plots ({error.strerror})") from error
    written = []
    for name, figure in figures.items():
        for suffix in FORMATS:
            written.append(folder / f"{name}.{suffix}")
            figure.savefig(written[-1], dpi=100)
    return written
