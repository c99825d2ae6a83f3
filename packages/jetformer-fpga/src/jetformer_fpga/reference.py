"""The operations of the interface "model state 2.0" in numpy int64: the oracle that the circuit is measured against.

It executes a state's graph straight from the table on the interface page and shares nothing with `network` or `tracer`,
so that it can't share their faults. Only integers, products and shifts are used; what could leave 62 bits is refused.
Every array has a leading axis of jets; it has length 1 where all jets have the same numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .errors import FpgaError
from .fixed_point import Codes, Format, quantise
from .graph import Operation
from .state import FixedTensor, State

CHUNK = 1024


@dataclass(frozen=True)
class Exact:
    """The exact numbers `n * 2**-f`, all on one grid."""

    n: Codes
    f: int

    @property
    def largest(self) -> int:
        return int(np.abs(self.n).max(initial=0))

    def on(self, f: int) -> Codes:
        """The codes on a finer grid."""
        guard(self.largest << (f - self.f))
        return self.n << (f - self.f) if self.largest else self.n


def guard(largest: int) -> None:
    if largest >= 1 << 62:
        raise FpgaError("The formats of this state need sums of more than 62 bits; narrow them.")


def exact(codes: Codes, fmt: Format) -> Exact:
    """Bring codes on many grids to the finest of them that is needed."""
    live = np.broadcast_to((fmt.width > 0), codes.shape)
    fractions = np.broadcast_to(fmt.f, codes.shape)
    f = int(fractions[live].max(initial=-(1 << 8)))
    shift = np.where(live, f - fractions, 0)
    if shift.any():
        guard(int((np.abs(codes).astype(np.float64) * 2.0**shift).max(initial=0)))
    return Exact(codes << np.where(codes != 0, shift, 0), f if live.any() else 0)


def logits(
    state: State,
    x: Codes,
    mask: NDArray[np.bool_],
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Codes:
    """Codes of the logits `[jets, C]` from the codes of the inputs `[jets, P, F]`; mask `[jets, P]`, True = real."""
    fmt, classes = state.formats["logits"], state.outputs
    pieces = [np.zeros((0, classes), dtype=np.int64)]
    for start in range(0, len(x), CHUNK):
        rows = slice(start, start + CHUNK)
        answer = values(state, x[rows], mask[rows])["logits"]
        codes = quantise(answer.n, answer.f, fmt)
        pieces.append(np.broadcast_to(codes, (len(x[rows]), classes)))
        progress(min(rows.stop, len(x)), len(x))
    return np.concatenate(pieces)


def values(state: State, x: Codes, mask: NDArray[np.bool_]) -> dict[str, Exact]:
    """What every operation gives, by name."""
    found: dict[str, Exact] = {}
    for operation in state.graph:
        if operation.op == "features":
            found[operation.name] = exact(np.where(mask[..., None], x, 0), state.formats["features"])
        elif operation.op == "mask":
            found[operation.name] = Exact(mask.astype(np.int64), 0)
        else:
            sources = [found[name] for name in operation.of]
            found[operation.name] = OPERATIONS[operation.op](state, operation, *sources)
    return found


def _parameter(state: State, operation: Operation) -> Exact:
    return _stored(state.tensors[operation.name], 1)


def _stored(tensor: FixedTensor, jets: int | None = None) -> Exact:
    found = exact(tensor.codes, tensor.format)
    return Exact(found.n[None], found.f) if jets else found


def _linear(state: State, operation: Operation, x: Exact) -> Exact:
    weight = _stored(state.tensors[f"{operation.name}.weight"])
    guard(weight.largest * x.largest * x.n.shape[-1])
    product = Exact(np.einsum("oi,...i->...o", weight.n, x.n), weight.f + x.f)
    if not operation.attributes["bias"]:
        return product
    return _sum_of(product, _stored(state.tensors[f"{operation.name}.bias"]))


def _add(state: State, operation: Operation, a: Exact, b: Exact) -> Exact:
    return _sum_of(*_aligned(a, b))


def _subtract(state: State, operation: Operation, a: Exact, b: Exact) -> Exact:
    return _sum_of(*_aligned(a, Exact(-b.n, b.f)))


def _sum_of(a: Exact, b: Exact) -> Exact:
    f = max(a.f, b.f)
    left, right = a.on(f), b.on(f)
    guard(int(np.abs(left).max(initial=0)) + int(np.abs(right).max(initial=0)))
    return Exact(left + right, f)


def _multiply(state: State, operation: Operation, a: Exact, b: Exact) -> Exact:
    a, b = _aligned(a, b)
    guard(a.largest * b.largest)
    return Exact(a.n * b.n, a.f + b.f)


def _matmul(state: State, operation: Operation, a: Exact, b: Exact) -> Exact:
    guard(a.largest * b.largest * a.n.shape[-1])
    return Exact(np.einsum("...nk,...km->...nm", a.n, b.n), a.f + b.f)


def _relu(state: State, operation: Operation, x: Exact) -> Exact:
    return Exact(np.maximum(x.n, 0), x.f)


def _sum(state: State, operation: Operation, x: Exact) -> Exact:
    axis = operation.attributes["axis"] + 1
    guard(x.largest * x.n.shape[axis])
    return Exact(x.n.sum(axis=axis, keepdims=operation.attributes.get("keep", False)), x.f)


def _maximum(state: State, operation: Operation, x: Exact, mask: Exact | None = None) -> Exact:
    axis, keep = operation.attributes["axis"] + 1, operation.attributes.get("keep", False)
    if mask is None:
        return Exact(x.n.max(axis=axis, keepdims=keep), x.f)
    real = _is_one(x, mask)
    lowest = np.iinfo(np.int64).min
    greatest = np.where(real, x.n, lowest).max(axis=axis, keepdims=keep)
    return Exact(np.where(greatest == lowest, 0, greatest), x.f)


def _gate(state: State, operation: Operation, x: Exact, mask: Exact) -> Exact:
    return Exact(np.where(_is_one(x, mask), x.n, 0), x.f)


def _is_one(x: Exact, mask: Exact) -> NDArray[np.bool_]:
    return np.asarray(_aligned(x, mask)[1].n == np.int64(1) << mask.f)


def _quantise(state: State, operation: Operation, x: Exact) -> Exact:
    fmt = state.formats[operation.name]
    return exact(quantise(x.n, x.f, fmt), fmt)


def _table(state: State, operation: Operation, x: Exact) -> Exact:
    """The address is the code of x on the grid of its quantiser."""
    address = x.n >> (x.f - int(state.formats[operation.of[0]].f.item()))
    entries = _stored(state.tensors[f"{operation.name}.entries"])
    return Exact(entries.n[address], entries.f)


def _reshape(state: State, operation: Operation, x: Exact) -> Exact:
    return Exact(x.n.reshape(len(x.n), *operation.shape), x.f)


def _transpose(state: State, operation: Operation, x: Exact) -> Exact:
    return Exact(x.n.transpose(0, *(axis + 1 for axis in operation.attributes["axes"])), x.f)


def _slice(state: State, operation: Operation, x: Exact) -> Exact:
    axis, start, stop = (operation.attributes[key] for key in ("axis", "start", "stop"))
    return Exact(x.n[(slice(None),) * (axis + 1) + (slice(start, stop),)], x.f)


def _concatenate(state: State, operation: Operation, *parts: Exact) -> Exact:
    f, jets = max(part.f for part in parts), max(len(part.n) for part in parts)
    fine = [np.broadcast_to(part.on(f), (jets, *part.n.shape[1:])) for part in parts]
    return Exact(np.concatenate(fine, axis=operation.attributes["axis"] + 1), f)


def _aligned(a: Exact, b: Exact) -> tuple[Exact, Exact]:
    """Broadcasting counts axes from the last, but the axis of jets stays the first."""
    axes = max(a.n.ndim, b.n.ndim)
    first, second = (
        Exact(x.n.reshape(len(x.n), *(1,) * (axes - x.n.ndim), *x.n.shape[1:]), x.f) for x in (a, b)
    )
    return first, second


OPERATIONS: dict[str, Callable[..., Exact]] = {
    "parameter": _parameter,
    "linear": _linear,
    "add": _add,
    "subtract": _subtract,
    "multiply": _multiply,
    "matmul": _matmul,
    "relu": _relu,
    "sum": _sum,
    "maximum": _maximum,
    "gate": _gate,
    "quantise": _quantise,
    "table": _table,
    "reshape": _reshape,
    "transpose": _transpose,
    "slice": _slice,
    "concatenate": _concatenate,
}
