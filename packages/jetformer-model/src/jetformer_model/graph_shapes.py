"""Shapes in a graph of exact operations: which attributes an operation needs, and what it gives."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

Shape = tuple[int, ...]

# operation: the attributes that it cannot do without
ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "features": ("shape",),
    "mask": ("shape",),
    "parameter": ("shape",),
    "linear": ("outputs", "bias"),
    "add": (),
    "subtract": (),
    "multiply": (),
    "matmul": (),
    "relu": (),
    "sum": ("axis",),
    "maximum": ("axis",),
    "gate": (),
    "quantise": (),
    "table": (),
    "reshape": ("shape",),
    "transpose": ("axes",),
    "slice": ("axis", "start", "stop"),
    "concatenate": ("axis",),
}
_SOURCES = {
    "features": 0,
    "mask": 0,
    "parameter": 0,
    "add": 2,
    "subtract": 2,
    "multiply": 2,
    "matmul": 2,
    "gate": 2,
}


def shape_of(op: str, sources: Sequence[Shape], attributes: Mapping[str, Any]) -> Shape:
    """The shape that an operation gives, from those of its sources. Raises ValueError with what was expected."""
    _expect_sources(op, len(sources))
    if op in ("features", "mask", "parameter"):
        return _as_shape(attributes["shape"])
    first = sources[0]
    if op in ("relu", "quantise", "table"):
        return first
    if op in ("add", "subtract", "multiply"):
        return broadcast(*sources)
    if op == "gate" or (op == "maximum" and len(sources) == 2):
        _expect(broadcast(*sources) == first, f"a mask that fits {first}", sources[1])
    return {
        "gate": lambda: first,
        "linear": lambda: (*first[:-1], int(attributes["outputs"])),
        "matmul": lambda: _product(*sources),
        "sum": lambda: _reduced(first, attributes),
        "maximum": lambda: _reduced(first, attributes),
        "reshape": lambda: _reshaped(first, attributes["shape"]),
        "transpose": lambda: _transposed(first, attributes["axes"]),
        "slice": lambda: _sliced(first, attributes),
        "concatenate": lambda: _joined(sources, attributes["axis"]),
    }[op]()


def broadcast(a: Shape, b: Shape) -> Shape:
    """The shape of a + b by numpy's rule. Raises ValueError if there is none."""
    length = max(len(a), len(b))
    pairs = zip((1,) * (length - len(a)) + a, (1,) * (length - len(b)) + b, strict=True)
    shape = []
    for n, m in pairs:
        _expect(n == m or 1 in (n, m), f"shapes that broadcast with {a}", b)
        shape.append(m if n == 1 else n)
    return tuple(shape)


def _expect_sources(op: str, count: int) -> None:
    if op == "concatenate":
        _expect(count >= 1, "at least one source", count)
    elif op == "maximum":
        _expect(count in (1, 2), "one or two sources", count)
    else:
        _expect(count == _SOURCES.get(op, 1), f"{_SOURCES.get(op, 1)} sources", count)


def _product(a: Shape, b: Shape) -> Shape:
    fits = len(a) == len(b) >= 2 and a[:-2] == b[:-2] and a[-1] == b[-2]
    _expect(fits, f"a right factor [..., {a[-1] if a else '?'}, m] with the leading axes of {a}", b)
    return (*a[:-1], b[-1])


def _reduced(shape: Shape, attributes: Mapping[str, Any]) -> Shape:
    axis = _axis(attributes["axis"], shape)
    kept = (1,) if attributes.get("keep", False) else ()
    return shape[:axis] + kept + shape[axis + 1 :]


def _reshaped(shape: Shape, new: Sequence[int]) -> Shape:
    target = _as_shape(new)
    _expect(math.prod(target) == math.prod(shape), f"a shape of {math.prod(shape)} numbers", target)
    return target


def _transposed(shape: Shape, axes: Sequence[int]) -> Shape:
    _expect(sorted(axes) == list(range(len(shape))), f"each axis of {shape} once", tuple(axes))
    return tuple(shape[axis] for axis in axes)


def _sliced(shape: Shape, attributes: Mapping[str, Any]) -> Shape:
    axis, start, stop = _axis(attributes["axis"], shape), attributes["start"], attributes["stop"]
    _expect(0 <= start < stop <= shape[axis], f"a range inside 0 to {shape[axis]}", f"{start} to {stop}")
    return (*shape[:axis], stop - start, *shape[axis + 1 :])


def _joined(shapes: Sequence[Shape], number: int) -> Shape:
    first, axis = shapes[0], _axis(number, shapes[0])
    for shape in shapes:
        same = (
            len(shape) == len(first) and shape[:axis] + shape[axis + 1 :] == first[:axis] + first[axis + 1 :]
        )
        _expect(same, f"shapes like {first} but for axis {axis}", shape)
    return (*first[:axis], sum(shape[axis] for shape in shapes), *first[axis + 1 :])


def _axis(axis: int, shape: Shape) -> int:
    _expect(0 <= axis < len(shape), f"an axis from 0 to {len(shape) - 1}", axis)
    return int(axis)


def _as_shape(sizes: Sequence[int]) -> Shape:
    _expect(all(int(size) == size and size >= 1 for size in sizes), "whole sizes of at least 1", tuple(sizes))
    return tuple(int(size) for size in sizes)


def _expect(condition: bool, expected: str, got: object) -> None:
    if not condition:
        raise ValueError(f"expected {expected}, got {got}")
