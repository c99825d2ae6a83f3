"""The operations of a graph that need no number format, in PyTorch. The first axis of every array is that of jets, of length
1 where all jets have the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

Attributes = Mapping[str, Any]


def apply(op: str, sources: Sequence[Tensor], attributes: Attributes) -> Tensor:
    """What the operation gives."""
    if op in _ELEMENTWISE:
        return _ELEMENTWISE[op](*aligned(*sources))
    return _OTHERS[op](*sources, **attributes)


def aligned(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Both with the same number of axes, so that they broadcast behind the axis of jets."""
    axes = max(a.dim(), b.dim())
    a, b = (x.reshape(len(x), *(1,) * (axes - x.dim()), *x.shape[1:]) for x in (a, b))
    return a, b


def _gate(x: Tensor, mask: Tensor) -> Tensor:
    return torch.where(mask > 0, x, 0.0)


def _sum(x: Tensor, axis: int, keep: bool = False, **_: Any) -> Tensor:
    return x.sum(axis + 1, keepdim=keep)


def _maximum(x: Tensor, mask: Tensor | None = None, *, axis: int, keep: bool = False, **_: Any) -> Tensor:
    if mask is None:
        return x.amax(axis + 1, keepdim=keep)
    x, real = torch.broadcast_tensors(*aligned(x, mask > 0))
    largest = x.masked_fill(~real, -torch.inf).amax(axis + 1, keepdim=keep)
    return torch.where(real.any(axis + 1, keepdim=keep), largest, 0.0)


def _reshape(x: Tensor, shape: Sequence[int], **_: Any) -> Tensor:
    return x.reshape(len(x), *shape)


def _transpose(x: Tensor, axes: Sequence[int], **_: Any) -> Tensor:
    return x.permute(0, *(axis + 1 for axis in axes))


def _slice(x: Tensor, axis: int, start: int, stop: int, **_: Any) -> Tensor:
    return x.narrow(axis + 1, start, stop - start)


def _concatenate(*parts: Tensor, axis: int, **_: Any) -> Tensor:
    jets = max(len(part) for part in parts)
    return torch.cat([part.expand(jets, *part.shape[1:]) for part in parts], axis + 1)


_ELEMENTWISE: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "add": torch.add,
    "subtract": torch.sub,
    "multiply": torch.mul,
    "gate": _gate,
}
_OTHERS: dict[str, Callable[..., Tensor]] = {
    "matmul": lambda a, b, **_: a @ b,
    "relu": lambda x, **_: functional.relu(x),
    "sum": _sum,
    "maximum": _maximum,
    "reshape": _reshape,
    "transpose": _transpose,
    "slice": _slice,
    "concatenate": _concatenate,
}
