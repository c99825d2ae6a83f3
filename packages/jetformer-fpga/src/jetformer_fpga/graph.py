"""The graph of a state: a list of exact operations, sources before users, each giving one array without a jet axis.

| op | attributes | sources | result |
|---|---|---|---|
| features, mask | shape | | `[P, F]`, `[P]`: the inputs |
| parameter | shape | | the tensor of the same name |
| linear | bias, outputs | x `[..., in]` | `W x + b` over the last axis |
| add, subtract, multiply | | a, b | element by element, broadcast |
| matmul | | a `[..., n, k]`, b `[..., k, m]` | `a @ b` |
| relu | | x | `max(x, 0)` |
| sum | axis, keep | x | |
| maximum | axis, keep | x, mask | greatest where the mask is 1; 0 where there is none; `mask` may be absent |
| gate | | x, mask | x where the mask is 1, else 0 |
| quantise | | x | Q with the format of its name |
| table | | x | `entries[code of x]`, x an unsigned `quantise` |
| reshape, transpose, slice, concatenate | shape; axes; axis, start, stop; axis | x; x; x; a, b, ... | |
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Operation:
    """One entry of the graph; `shape` is that of its result."""

    op: str
    name: str
    of: tuple[str, ...]
    attributes: Mapping[str, Any]
    shape: Shape


class GraphError(ValueError):
    """What is wrong, without the file's name."""


@dataclass(frozen=True)
class Asked:
    """An operation whose shape is asked for: its name and attributes, and the shapes of its sources."""

    name: str
    attributes: Mapping[str, Any]
    shapes: Sequence[Shape]

    def expect(self, condition: bool, words: str) -> None:
        if not condition:
            raise GraphError(f"operation '{self.name}': {words}.")

    def axis(self) -> int:
        axis = self.attributes.get("axis")
        fits = isinstance(axis, int) and not isinstance(axis, bool) and 0 <= axis < len(self.shapes[0])
        self.expect(fits, f"axis {axis!r} does not fit a source of shape {self.shapes[0]}")
        assert isinstance(axis, int)
        return axis

    def numbers(self, key: str) -> tuple[int, ...]:
        found = self.attributes.get(key)
        good = isinstance(found, list) and all(isinstance(n, int) and n >= 0 for n in found)
        self.expect(good, f"'{key}' must be a list of whole numbers from 0 up, got {found!r}")
        assert isinstance(found, list)
        return tuple(found)


def operations(graph: Any) -> tuple[Operation, ...]:
    """The checked graph. Raises GraphError."""
    if not isinstance(graph, list) or not graph:
        raise GraphError("the header's graph must be a list of operations.")
    made: dict[str, Operation] = {}
    for entry in graph:
        operation = checked(entry, made)
        made[operation.name] = operation
    if "features" not in made:
        raise GraphError("the graph needs an operation 'features': its input.")
    if made.get("mask", made["features"]).shape[0] != made["features"].shape[0]:
        raise GraphError("'mask' and 'features' differ in the number of constituents.")
    last = made.get("logits")
    if last is None or last.op != "quantise":
        raise GraphError("the graph needs a 'quantise' named 'logits': its output.")
    return tuple(made.values())


def checked(entry: Any, made: Mapping[str, Operation]) -> Operation:
    """One entry after those that are `made`. Raises GraphError."""
    try:
        op, name, of = (
            str(entry["op"]),
            str(entry["name"]),
            tuple(str(source) for source in entry.get("of", ())),
        )
    except (TypeError, KeyError, AttributeError):
        raise GraphError("every entry of the graph must be an object with 'op', 'name' and 'of'.") from None
    if op not in RULES:
        raise GraphError(f"operation '{name}': '{op}' is not known here; expected one of {', '.join(RULES)}.")
    if name in made:
        raise GraphError(f"operation '{name}': this name is there twice.")
    for source in of:
        if source not in made:
            raise GraphError(f"operation '{name}': its source '{source}' is not defined before it.")
    attributes = {key: value for key, value in entry.items() if key not in ("op", "name", "of")}
    asked = Asked(name, attributes, [made[source].shape for source in of])
    least, most, rule = RULES[op]
    wanted = str(least) if least == most else f"at least {least}"
    asked.expect(least <= len(of) <= most, f"'{op}' takes {wanted} sources, got {len(of)}")
    return Operation(op, name, of, attributes, rule(asked))


def _input(asked: Asked, name: str, axes: int) -> Shape:
    shape = asked.numbers("shape")
    asked.expect(asked.name == name, f"must be named '{name}'")
    asked.expect(len(shape) == axes and min(shape) > 0, f"a shape of {axes} axes was expected, got {shape}")
    return shape


def _linear(asked: Asked) -> Shape:
    bias, outputs, x = asked.attributes.get("bias"), asked.attributes.get("outputs"), asked.shapes[0]
    asked.expect(isinstance(bias, bool), f"'bias' must be true or false, got {bias!r}")
    asked.expect(isinstance(outputs, int) and outputs > 0, f"'outputs' must be 1 or more, got {outputs!r}")
    asked.expect(len(x) > 0, "its source has no axis")
    assert isinstance(outputs, int)
    return (*x[:-1], outputs)


def _broadcast(asked: Asked) -> Shape:
    try:
        return np.broadcast_shapes(*asked.shapes)
    except ValueError:
        raise GraphError(f"operation '{asked.name}': shapes {_list(asked.shapes)} don't broadcast.") from None


def _matmul(asked: Asked) -> Shape:
    a, b = asked.shapes
    fits = len(a) == len(b) >= 2 and a[:-2] == b[:-2] and a[-1] == b[-2]
    asked.expect(fits, f"shapes {a} and {b} can't be multiplied as matrices")
    return (*a[:-1], b[-1])


def _same(asked: Asked) -> Shape:
    return asked.shapes[0]


def _masked(asked: Asked) -> Shape:
    if len(asked.shapes) == 2:
        fits = _broadcast(asked) == asked.shapes[0]
        asked.expect(fits, f"a mask of shape {asked.shapes[1]} does not broadcast against {asked.shapes[0]}")
    return asked.shapes[0]


def _reduced(asked: Asked) -> Shape:
    shape, axis = _masked(asked), asked.axis()
    keep = asked.attributes.get("keep", False)
    asked.expect(isinstance(keep, bool), f"'keep' must be true or false, got {keep!r}")
    return (*shape[:axis], *(1,) * keep, *shape[axis + 1 :])


def _reshape(asked: Asked) -> Shape:
    shape = asked.numbers("shape")
    asked.expect(math.prod(shape) == math.prod(asked.shapes[0]), f"{asked.shapes[0]} can't become {shape}")
    return shape


def _transpose(asked: Asked) -> Shape:
    axes, shape = asked.numbers("axes"), asked.shapes[0]
    asked.expect(sorted(axes) == list(range(len(shape))), f"axes {axes} are no order of the axes of {shape}")
    return tuple(shape[axis] for axis in axes)


def _slice(asked: Asked) -> Shape:
    shape, axis = asked.shapes[0], asked.axis()
    start, stop = asked.attributes.get("start"), asked.attributes.get("stop")
    good = isinstance(start, int) and isinstance(stop, int) and 0 <= start < stop <= shape[axis]
    asked.expect(good, f"{start!r} to {stop!r} is no part of axis {axis} of {shape}")
    assert isinstance(start, int)
    assert isinstance(stop, int)
    return (*shape[:axis], stop - start, *shape[axis + 1 :])


def _concatenate(asked: Asked) -> Shape:
    axis, first = asked.axis(), asked.shapes[0]
    others = {(*shape[:axis], *shape[axis + 1 :]) for shape in asked.shapes if len(shape) == len(first)}
    fits = len(others) == 1 and all(len(shape) == len(first) for shape in asked.shapes)
    asked.expect(fits, f"shapes {_list(asked.shapes)} can't be joined along axis {axis}")
    return (*first[:axis], sum(shape[axis] for shape in asked.shapes), *first[axis + 1 :])


def _list(shapes: Sequence[Shape]) -> str:
    return " and ".join(map(str, shapes))


MANY = 1 << 16
RULES: dict[str, tuple[int, int, Callable[[Asked], Shape]]] = {
    "features": (0, 0, lambda asked: _input(asked, "features", 2)),
    "mask": (0, 0, lambda asked: _input(asked, "mask", 1)),
    "parameter": (0, 0, lambda asked: asked.numbers("shape")),
    "linear": (1, 1, _linear),
    "add": (2, 2, _broadcast),
    "subtract": (2, 2, _broadcast),
    "multiply": (2, 2, _broadcast),
    "matmul": (2, 2, _matmul),
    "relu": (1, 1, _same),
    "sum": (1, 1, _reduced),
    "maximum": (1, 2, _reduced),
    "gate": (2, 2, _masked),
    "quantise": (1, 1, _same),
    "table": (1, 1, _same),
    "reshape": (1, 1, _reshape),
    "transpose": (1, 1, _transpose),
    "slice": (1, 1, _slice),
    "concatenate": (1, MANY, _concatenate),
}
