"""The trigger's view of scores: accept rate against signal efficiency.

    D     = sum of scores of signal classes / (the same + sum of scores of background classes)
    e_s   = share of signal jets with D >= threshold          e_b = the same of background jets
    rate  = crossing rate (1 - (1 - e_b)^n)                   n background jets a bunch crossing, each like those of the file

A crossing is kept if any of its n jets passes. What other jets a real crossing holds, only its simulation tells.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from .errors import FpgaError

CROSSING_MHZ = 40.0
EFFICIENCIES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Rate:
    """One threshold. `background_passed` jets are behind the rate: few of them say little."""

    signal_efficiency: float
    threshold: float
    background_efficiency: float
    background_passed: int
    rate_khz: float
    rate_error_khz: float


@dataclass(frozen=True)
class Rates:
    signal: tuple[str, ...]
    background: tuple[str, ...]
    signal_jets: int
    background_jets: int
    jets_per_crossing: int
    crossing_mhz: float
    points: tuple[Rate, ...]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def rates_of(
    scores: str | Path,
    signal: Sequence[str],
    background: Sequence[str],
    *,
    jets_per_crossing: int,
    crossing_mhz: float = CROSSING_MHZ,
    efficiencies: Sequence[float] = EFFICIENCIES,
) -> Rates:
    """From a file of scores (`emulate --out`, or `jetformer-model predict` into HDF5). Raises FpgaError."""
    if jets_per_crossing < 1 or crossing_mhz <= 0:
        raise FpgaError("jets per crossing must be at least 1, and the crossing rate above 0 MHz.")
    if not efficiencies or min(efficiencies) <= 0 or max(efficiencies) > 1:
        raise FpgaError("efficiencies must lie above 0 and up to 1.")
    of_signal, of_background = _discriminants(Path(scores), list(signal), list(background))
    points = []
    for efficiency in sorted(efficiencies):
        # the highest threshold that so many signal jets reach
        threshold = float(np.sort(of_signal)[::-1][int(np.ceil(efficiency * len(of_signal))) - 1])
        points.append(_point(of_signal, of_background, threshold, jets_per_crossing, crossing_mhz))
    counts = len(of_signal), len(of_background)
    return Rates(tuple(signal), tuple(background), *counts, jets_per_crossing, crossing_mhz, tuple(points))


def _point(signal: Array, background: Array, threshold: float, n: int, crossing_mhz: float) -> Rate:
    passed = int((background >= threshold).sum())
    e_b = passed / len(background)
    error = np.sqrt(max(passed, 1) * (1 - e_b)) / len(
        background
    )  # binomial; where none passed, that of one jet
    khz = crossing_mhz * 1e3
    rate, slope = khz * (1 - (1 - e_b) ** n), khz * n * (1 - e_b) ** (n - 1)
    return Rate(float((signal >= threshold).mean()), threshold, e_b, passed, rate, float(slope * error))


def _discriminants(path: Path, signal: list[str], background: list[str]) -> tuple[Array, Array]:
    """D of the signal jets and of the background jets."""
    if not signal or not background or set(signal) & set(background):
        raise FpgaError("name at least one class of signal and one of background, and none in both.")
    classes, columns, labels = _read(path)
    for name in [*signal, *background]:
        if name not in classes:
            raise FpgaError(f"class '{name}': {path} has scores of {', '.join(classes)}.")
    sums = [sum(columns[classes.index(name)] for name in names) for names in (signal, background)]
    total = sums[0] + sums[1]
    d = np.where(total > 0, sums[0] / np.where(total > 0, total, 1), 0.0)
    found = [d[np.isin(labels, [classes.index(name) for name in names])] for names in (signal, background)]
    for names, values in zip((signal, background), found, strict=True):
        if not values.size:
            raise FpgaError(f"{path}: no jets of {', '.join(names)}.")
    return found[0], found[1]


def _read(path: Path) -> tuple[list[str], list[Array], NDArray[np.int64]]:
    """Classes, scores of each, and labels."""
    if not path.is_file():
        raise FpgaError(f"{path}: no such file.")
    try:
        with h5py.File(path) as file:
            classes = list(json.loads(file.attrs["about"])["class_names"])
            group = file["scores"]
            names = [f"score_{re.sub(r'[^0-9A-Za-z_]', '_', name)}" for name in classes]
            columns = [group[name][:].astype(np.float64) for name in names]
            return classes, columns, group["label"][:]
    except (OSError, KeyError, ValueError, TypeError) as error:
        words = f"expected HDF5 scores with labels, as `jetformer-fpga emulate --out scores.h5` writes them ({error})"
        raise FpgaError(f"{path}: {words}.") from None


def plot(found: Rates, path: Path) -> None:
    """Rate against signal efficiency, with its statistical error; needs the extra `plot`."""
    from .extras import require

    require("matplotlib", "plot")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    points = [point for point in found.points if point.rate_khz > 0]
    x, y = [p.signal_efficiency for p in points], [p.rate_khz for p in points]
    axes.errorbar(x, y, yerr=[p.rate_error_khz for p in points], fmt="o-", capsize=2)
    axes.set(xlabel=f"efficiency of {', '.join(found.signal)} jets", ylabel="accept rate [kHz]", yscale="log")
    title = f"{found.crossing_mhz:g} MHz, {found.jets_per_crossing} jets of {', '.join(found.background)} a crossing"
    axes.set_title(title, fontsize="medium")
    axes.grid(alpha=0.3, which="both")
    try:
        figure.savefig(path)
    except (OSError, ValueError) as error:
        raise FpgaError(f"{path}: can't be written ({error}).") from None
