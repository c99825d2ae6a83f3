"""Writes fixed-point states by hand: a graph operation by operation, with random weights on their grids.

    sketch = Sketch(seed=1, constituents=4)
    x = sketch.linear("embedding", sketch.features(), 8)
    x = sketch.quantise("hidden", sketch.op("relu", "live", x), (0, 3, 5))
    ...
    sketch.write("sketch.safetensors")

It knows the shapes it makes, so that a test states only what it is about.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .fixed_point import Format, quantise_real
from .graph import Operation, Shape, checked

FEATURES = ("pt", "etarel", "phirel")
CLASSES = ("g", "q", "W", "Z", "t")


def _reciprocal(x: NDArray[Any]) -> NDArray[Any]:
    """1 / x; the entry of 0 repeats that of the first step."""
    return np.asarray(1 / np.where(x > 0, x, x[1]))


FUNCTIONS: dict[str, Callable[[NDArray[Any]], NDArray[Any]]] = {
    "exp": lambda x: np.exp(-x),
    "reciprocal": _reciprocal,
}
Kif = tuple[int, int, int] | NDArray[Any]


class Sketch:
    """A state in the making. Every method adds an operation and returns its name."""

    def __init__(
        self,
        *,
        seed: int,
        constituents: int = 4,
        features: int = 3,
        classes: int = 5,
        weight_bits: int = 5,
        architecture: dict[str, Any] | None = None,
    ) -> None:
        self.rng = np.random.default_rng(seed)
        self.constituents, self.feature_count, self.classes = constituents, features, classes
        self.weight_bits, self.architecture = weight_bits, architecture or {"name": "sketch"}
        self.graph: list[dict[str, Any]] = []
        self.made: dict[str, Operation] = {}
        self.arrays: dict[str, NDArray[Any]] = {}

    def op(self, op: str, name: str, *of: str, **attributes: Any) -> str:
        entry = {"op": op, "name": name, "of": list(of)} | attributes
        self.made[name] = checked(entry, self.made)
        self.graph.append(entry)
        return name

    def shape(self, name: str) -> Shape:
        return self.made[name].shape

    def features(self, kif: Kif = (1, 2, 5)) -> str:
        self._formats("features", kif)
        return self.op("features", "features", shape=[self.constituents, self.feature_count])

    def mask(self, *shape: int) -> str:
        """The mask, as it is or in another shape."""
        if "mask" not in self.made:
            self.op("mask", "mask", shape=[self.constituents])
        name = f"mask_{'x'.join(map(str, shape))}" if shape else "mask"
        return name if name in self.made else self.op("reshape", name, "mask", shape=list(shape))

    def parameter(self, name: str, values: Any, kif: Kif) -> str:
        self._tensor(name, np.asarray(values, dtype=np.float64), np.asarray(kif))
        return self.op("parameter", name, shape=list(np.shape(values)))

    def linear(self, name: str, x: str, out: int, *, bias: bool = True, bias_bits: int = 7) -> str:
        """Weights with one format an output channel, biases with one."""
        values = self.rng.normal(0.0, 1.2 / np.sqrt(self.shape(x)[-1]), size=(out, self.shape(x)[-1]))
        magnitude = np.ceil(np.log2(np.abs(values).max(axis=1, keepdims=True) + 1e-9)).astype(np.int64)
        kif = np.stack([np.ones_like(magnitude), magnitude, self.weight_bits - 1 - magnitude], axis=-1)
        self._tensor(f"{name}.weight", values, kif)
        if bias:
            self._tensor(f"{name}.bias", self.rng.normal(0.0, 0.5, size=out), np.array([1, 1, bias_bits - 2]))
        return self.op("linear", name, x, bias=bias, outputs=out)

    def quantise(self, name: str, x: str, kif: Kif) -> str:
        self._formats(name, kif)
        return self.op("quantise", name, x)

    def table(self, name: str, x: str, function: str, kif: Kif) -> str:
        """Entry n is Q(function(n * 2**-f)) for the format of `x`; functions are named in `FUNCTIONS`."""
        address, fmt = Format.of(self.arrays[f"{x}.kif"]), Format.of(kif)
        entries = quantise_real(
            FUNCTIONS[function](address.value(np.arange(2 ** int(address.width.item())))), fmt
        )
        self.arrays[f"{name}.entries"] = fmt.value(entries).astype(np.float32)
        self._formats(name, kif)
        return self.op("table", name, x, function=function)

    def heads(self, name: str, x: str, heads: int) -> str:
        """`[tokens, a]`, head-major, to `[heads, tokens, a / heads]`."""
        tokens, a = self.shape(x)
        split = self.op("reshape", f"{name}.split", x, shape=[tokens, heads, a // heads])
        return self.op("transpose", f"{name}.heads", split, axes=[1, 0, 2])

    def merge(self, name: str, x: str) -> str:
        """The reverse."""
        heads, tokens, width = self.shape(x)
        together = self.op("transpose", f"{name}.together", x, axes=[1, 0, 2])
        return self.op("reshape", f"{name}.merged", together, shape=[tokens, heads * width])

    def write(self, path: str | Path) -> Path:
        return write(Path(path), self.arrays, self.header())

    def _formats(self, name: str, kif: Kif) -> None:
        self.arrays[f"{name}.kif"] = np.asarray(kif).astype(np.int8)

    def _tensor(self, name: str, values: NDArray[Any], kif: NDArray[Any]) -> None:
        fmt = Format.of(kif)
        self.arrays[name] = fmt.value(quantise_real(values, fmt)).astype(np.float32)
        self._formats(name, kif)

    def header(self) -> dict[str, Any]:
        names = _names(FEATURES, "feature", self.feature_count)
        scale = {"pt": (60.0, 80.0, "GeV"), "etarel": (0.0, 0.08, "1"), "phirel": (0.0, 0.08, "rad")}
        numbers = [scale.get(name, (0.0, 1.0, "1")) for name in names]
        sizes = {"constituents": self.constituents, "features": self.feature_count, "classes": self.classes}
        return {
            "format": "jetformer-state",
            "version": "2.0",
            "kind": "fixed_point",
            "architecture": self.architecture | sizes,
            "graph": self.graph,
            "inputs": {
                "features": names,
                "units": [unit for _, _, unit in numbers],
                "mean": [mean for mean, _, _ in numbers],
                "std": [std for _, std, _ in numbers],
                "min_pt_gev": 0.0,
            },
            "class_names": _names(CLASSES, "class", self.classes),
            "metrics": {},
            "provenance": {"program": "jetformer_fpga.testing"},
        }


def _names(known: Sequence[str], other: str, count: int) -> list[str]:
    return [known[n] if n < len(known) else f"{other}{n}" for n in range(count)]


def write(path: Path, arrays: dict[str, NDArray[Any]], header: dict[str, Any]) -> Path:
    """A state: to a temporary file beside the target, then renamed, as the interface asks."""
    from safetensors.numpy import save_file

    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    save_file(contiguous, str(temporary), metadata={"jetformer": json.dumps(header)})
    os.replace(temporary, path)
    return path
