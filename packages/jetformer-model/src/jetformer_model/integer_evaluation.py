"""For tests: what a fixed-point state computes, in int64 and without PyTorch's arithmetic.

An array is integers n with one f: the numbers n 2^-f. Written from docs/interfaces/model-state.md alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jetformer_model.fixed_point import FixedPointNetwork
from jetformer_model.graph import Operation

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Exact:
    """The numbers n 2^-f."""

    n: Integers
    f: int

    def at(self, f: int) -> Integers:
        """The integers for another, not smaller f."""
        return self.n << (f - self.f)


def integer_logits(
    network: FixedPointNetwork, x: NDArray[np.float32], mask: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Logits [jets, C] of normalised x [jets, P, F] and mask [jets, P], True = real constituent."""
    tensors = {name: tensor.cpu().numpy() for name, tensor in network.stored().items()}
    return np.stack([_one_jet(network, tensors, *jet) for jet in zip(x, mask, strict=True)])


def _one_jet(
    network: FixedPointNetwork, tensors: dict[str, Any], x: NDArray[np.float32], mask: NDArray[np.bool_]
) -> NDArray[np.float64]:
    values: dict[str, Exact] = {
        "raw": _from_float(x * mask[:, None]),
        "mask": Exact(mask.astype(np.int64), 0),
    }
    for operation in network.graph.operations:
        if operation.op != "mask":
            values[operation.name] = _apply(
                operation, [values[name] for name in operation.of], values, tensors
            )
    logits = values["logits"]
    return np.ldexp(logits.n.astype(np.float64), -logits.f)


def _apply(
    operation: Operation, sources: list[Exact], values: dict[str, Exact], tensors: dict[str, Any]
) -> Exact:
    name, a = operation.name, operation.attributes
    match operation.op:
        case "features":
            quantised = _quantise(values["raw"], tensors[f"{name}.kif"])
            return Exact(quantised.n * values["mask"].n[:, None], quantised.f)
        case "parameter":
            return _from_float(tensors[name])
        case "linear":
            product = _product(sources[0], _from_float(tensors[f"{name}.weight"].T))
            return _sum(product, _from_float(tensors[f"{name}.bias"])) if a["bias"] else product
        case "add":
            return _sum(*sources)
        case "subtract":
            return _sum(sources[0], Exact(-sources[1].n, sources[1].f))
        case "multiply":
            return Exact(sources[0].n * sources[1].n, sources[0].f + sources[1].f)
        case "matmul":
            return _product(*sources)
        case "relu":
            return Exact(np.maximum(sources[0].n, 0), sources[0].f)
        case "sum":
            return Exact(sources[0].n.sum(a["axis"], keepdims=a.get("keep", False)), sources[0].f)
        case "maximum":
            return _maximum(sources, a["axis"], a.get("keep", False))
        case "gate":
            return Exact(np.where(sources[1].n == 1, sources[0].n, 0), sources[0].f)
        case "quantise":
            return _quantise(sources[0], tensors[f"{name}.kif"])
        case "table":
            f = int(tensors[f"{operation.of[0]}.kif"].reshape(-1)[2])
            entries = _from_float(tensors[f"{name}.entries"])
            return Exact(entries.n[sources[0].n >> (sources[0].f - f)], entries.f)
        case "reshape":
            return Exact(sources[0].n.reshape(a["shape"]), sources[0].f)
        case "transpose":
            return Exact(sources[0].n.transpose(a["axes"]), sources[0].f)
        case "slice":
            return Exact(sources[0].n.take(range(a["start"], a["stop"]), a["axis"]), sources[0].f)
        case "concatenate":
            f = max(source.f for source in sources)
            return Exact(np.concatenate([source.at(f) for source in sources], a["axis"]), f)
    raise AssertionError(operation.op)


def _from_float(values: Any) -> Exact:
    """The smallest f that holds all of them; of features, which may be any number, at most 40."""
    exact = np.asarray(values, dtype=np.float64)
    for f in range(-20, 40):
        scaled = np.ldexp(exact, f)
        if (scaled == np.floor(scaled)).all():
            return Exact(scaled.astype(np.int64), f)
    # the floor of a floor is the floor: what is cut off here changes no rounding to a coarser grid
    return Exact(np.floor(np.ldexp(exact, 40)).astype(np.int64), 40)


def _sum(a: Exact, b: Exact) -> Exact:
    f = max(a.f, b.f)
    return Exact(a.at(f) + b.at(f), f)


def _product(a: Exact, b: Exact) -> Exact:
    return Exact(a.n @ b.n, a.f + b.f)


def _maximum(sources: list[Exact], axis: int, keep: bool) -> Exact:
    x = sources[0]
    real = (
        np.ones_like(x.n, dtype=bool) if len(sources) == 1 else np.broadcast_to(sources[1].n == 1, x.n.shape)
    )
    largest = np.where(real, x.n, np.iinfo(np.int64).min).max(axis, keepdims=keep)
    return Exact(np.where(real.any(axis, keepdims=keep), largest, 0), x.f)


def _quantise(x: Exact, kif: NDArray[np.int8]) -> Exact:
    k, i, f = (np.broadcast_to(part, x.n.shape) for part in np.moveaxis(kif.astype(np.int64), -1, 0))
    bits = i + f
    away = np.clip(x.f - f, 0, 62)  # bits that are rounded off
    half = np.where(away > 0, 1 << np.maximum(away - 1, 0), 0)
    n = ((x.n + half) >> away) << np.clip(f - x.f, 0, 62)
    most = 1 << np.clip(bits, 0, 62)
    n = np.where(k + bits <= 0, 0, np.clip(n, -k * most, most - 1))
    common = int(f.max())
    return Exact(n << (common - f), common)
