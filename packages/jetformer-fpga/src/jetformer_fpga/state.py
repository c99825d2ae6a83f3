"""Reads a fixed-point model state: one safetensors file with a JSON header, by the interface "model state 2.0".

The header holds the network as a graph of exact operations (`graph`), the tensors their numbers and number formats.
`read` refuses, in one sentence, what it can't build.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import graph
from .errors import StateError
from .fixed_point import Codes, Format, codes_on_grid
from .graph import GraphError, Operation, Shape
from .header import Arrays, Inputs, class_names_of, inputs_of, load

MAX_TABLE_BITS = 16
MAX_BITS = 24  # more can't be stored in float32


@dataclass(frozen=True)
class FixedTensor:
    """Codes and the formats of their grids, which broadcast against them."""

    codes: Codes
    format: Format

    def value(self) -> NDArray[np.float64]:
        return self.format.value(self.codes)


@dataclass(frozen=True)
class State:
    """A fixed-point network: `graph` in order, `tensors` and the `formats` of features, quantisers and tables by name."""

    constituents: int
    inputs: Inputs
    class_names: tuple[str, ...]
    graph: tuple[Operation, ...]
    tensors: dict[str, FixedTensor]
    formats: dict[str, Format]
    header: dict[str, Any] = field(repr=False, default_factory=dict)
    output: str = "logits"  # of `answers.OUTPUTS`: what the operation "logits" gives

    @property
    def outputs(self) -> int:
        """How many numbers leave: C logits, or one class index."""
        return next(operation.shape[0] for operation in self.graph if operation.name == "logits")

    @property
    def input_shape(self) -> tuple[int, int]:
        """(P, F)"""
        return self.constituents, len(self.inputs.features)


def read(path: str | Path) -> State:
    """Read and check a state. Raises StateError with a sentence that names the first thing that is wrong."""
    path = Path(path)
    header, arrays = load(path)
    inputs, class_names = inputs_of(path, header), class_names_of(path, header)
    try:
        operations = graph.operations(header.get("graph"))
        named = {operation.name: operation for operation in operations}
        _check_ends(named, inputs, class_names)
        reader = _Reader(arrays)
        for operation in operations:
            reader.take(operation, [named[source] for source in operation.of])
        reader.check_all_used()
    except GraphError as error:
        raise StateError(f"{path}: {error}") from None
    return State(
        named["features"].shape[0], inputs, class_names, operations, reader.tensors, reader.formats, header
    )


def _check_ends(named: dict[str, Operation], inputs: Inputs, class_names: tuple[str, ...]) -> None:
    features, logits = named["features"].shape, named["logits"].shape
    if features[1] != len(inputs.features):
        raise GraphError(
            f"'features' has shape {features}, but the header names {len(inputs.features)} features."
        )
    if logits != (len(class_names),):
        raise GraphError(f"'logits' has shape {logits}, but there are {len(class_names)} class names.")


class _Reader:
    """Takes tensors and formats out of a file, operation by operation, and remembers which."""

    def __init__(self, arrays: Arrays) -> None:
        self.arrays = arrays
        self.used: set[str] = set()
        self.tensors: dict[str, FixedTensor] = {}
        self.formats: dict[str, Format] = {}

    def take(self, operation: Operation, sources: list[Operation]) -> None:
        name, op = operation.name, operation.op
        if op == "parameter":
            self.tensor(name, operation.shape)
        elif op == "linear":
            outputs = operation.shape[-1]
            self.tensor(f"{name}.weight", (outputs, sources[0].shape[-1]))
            if operation.attributes["bias"]:
                self.tensor(f"{name}.bias", (outputs,))
        elif op in ("features", "quantise"):
            self.formats[name] = self.format(f"{name}.kif", operation.shape)
        elif op == "table":
            self.table(operation, sources[0])

    def table(self, operation: Operation, source: Operation) -> None:
        """The entries, one for every code of the source."""
        name, address = operation.name, self.formats.get(source.name)
        if source.op != "quantise" or address is None:
            raise GraphError(
                f"operation '{name}': a table is addressed by a 'quantise', not by '{source.name}'."
            )
        if address.k.size != 1:
            raise GraphError(f"tensor '{source.name}.kif': the address of a table needs one format for all.")
        if address.k.any():
            raise GraphError(f"tensor '{source.name}.kif': k must be 0, since it is the address of a table.")
        bits = int(address.width.item())
        if not 0 < bits <= MAX_TABLE_BITS:
            raise GraphError(f"tensor '{source.name}.kif': a table needs 1 to {MAX_TABLE_BITS} address bits.")
        self.formats[name] = self.format(f"{name}.kif", ())
        self.tensor(f"{name}.entries", (2**bits,), f"{name}.kif")

    def tensor(self, name: str, shape: Shape, companion: str = "") -> None:
        array = self.array(name)
        if array.shape != shape:
            raise GraphError(
                f"tensor '{name}': expected {shape}, got {array.shape}; does the header belong to this file?"
            )
        if array.dtype != np.float32:
            raise GraphError(f"tensor '{name}': expected float32, got {array.dtype}.")
        fmt = self.format(companion or f"{name}.kif", shape)
        codes, good = codes_on_grid(array, fmt)
        if not good.all():
            place = tuple(int(axis) for axis in np.argwhere(~good)[0])
            kif = tuple(int(part) for part in fmt.spread(shape).kif()[place])
            where = f"[{', '.join(map(str, place))}]"
            raise GraphError(f"tensor '{name}'{where} = {array[place]} is not on its grid (k, i, f) = {kif}.")
        self.tensors[name] = FixedTensor(codes, fmt)

    def format(self, name: str, shape: Shape) -> Format:
        """The companion `name`: int8, last axis (k, i, f), the others broadcast against `shape`."""
        kif = self.array(name)
        if kif.dtype != np.int8:
            raise GraphError(f"tensor '{name}': expected int8, got {kif.dtype}.")
        if kif.shape[-1:] != (3,) or not _broadcasts(kif.shape[:-1], shape):
            raise GraphError(
                f"tensor '{name}': expected (..., 3) that broadcasts against {shape}, got {kif.shape}."
            )
        if not np.isin(kif[..., 0], (0, 1)).all():
            raise GraphError(f"tensor '{name}': k must be 0 or 1.")
        fmt = Format.of(kif)
        if int(fmt.width.max()) > MAX_BITS:
            raise GraphError(
                f"tensor '{name}': a width of {int(fmt.width.max())} bits; at most {MAX_BITS} can be stored in float32."
            )
        return fmt

    def array(self, name: str) -> NDArray[Any]:
        if name not in self.arrays:
            raise GraphError(f"tensor '{name}' is missing.")
        self.used.add(name)
        return self.arrays[name]

    def check_all_used(self) -> None:
        for name in sorted(set(self.arrays) - self.used):
            raise GraphError(f"unexpected tensor '{name}': no operation of the graph uses it.")


def _broadcasts(smaller: Shape, shape: Shape) -> bool:
    try:
        return np.broadcast_shapes(smaller, shape) == shape
    except ValueError:
        return False
