"""Number formats chosen from what a network was seen to compute."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from jetformer_compress.errors import CompressError
from jetformer_model.dataset import Dataset
from jetformer_model.fixed_point import FixedPointNetwork
from jetformer_model.quantiser import Quantiser
from jetformer_model.training import predict

# exp(-8) = 0.0003 is the smallest weight that the exponential's table tells from 0.
EXPONENT_INTEGER_BITS = 3
# What is smaller than this everywhere gets no finer a grid, so that sums of 53 bits hold all products: float64 is exact.
SMALLEST_RANGE = 2.0**-10
Sharing = Literal["tensor", "channel", "element"]
SHARINGS: tuple[Sharing, ...] = get_args(Sharing)


@dataclass(frozen=True)
class Widths:
    """Total widths in bits, k + i + f, and who shares a format.

    weights: of every matrix
    biases: of every bias and of other vectors; each number gets its own i and f
    activations: of every intermediate result
    tables: of the index of a table and of its entries
    weights_share, activations_share: "tensor": all numbers have one format; "channel": a row of a matrix, a channel of an
        activation; "element": each weight, each number of each constituent
    """

    weights: int = 6
    biases: int = 8
    activations: int = 8
    tables: int = 8
    weights_share: Sharing = "channel"
    activations_share: Sharing = "channel"

    def __post_init__(self) -> None:
        for name in ("weights", "biases", "activations", "tables"):
            if not 2 <= getattr(self, name) <= 16:
                raise CompressError(f"width of {name}: expected 2 to 16 bits, got {getattr(self, name)}")
        for name in ("weights_share", "activations_share"):
            if getattr(self, name) not in SHARINGS:
                raise CompressError(
                    f"{name}: expected one of {', '.join(SHARINGS)}, got {getattr(self, name)!r}"
                )


def calibrate(network: FixedPointNetwork, data: Dataset, widths: Widths) -> None:
    """Give every number of a lowered network its (k, i, f): i from the largest value seen over `data`, f from the width."""
    network.set_formats(calibrated(network, data, widths))


def calibrated(network: FixedPointNetwork, data: Dataset, widths: Widths) -> dict[str, Tensor]:
    """The formats that `calibrate` sets, by name; the network still computes in floating point."""
    for name, quantiser in network.named_quantisers():
        if not _is_weight(network, name):
            quantiser.along = _own_axes(network, name, quantiser, widths)
    predict(network, data)
    return {
        name: _weight_format(network, name, widths)
        if _is_weight(network, name)
        else _activation_format(network, name, quantiser, widths)
        for name, quantiser in network.named_quantisers()
    }


def format_for(low: Tensor, high: Tensor, width: int) -> Tensor:
    """(k, i, f) [..., 3] of `width` bits in all that hold `low` to `high`, elementwise: i as small, f as large as can be."""
    k = (low < 0).long()
    largest = torch.maximum(high, -low).double().clamp(min=SMALLEST_RANGE)
    i = torch.ceil(torch.log2(largest)).long()
    return torch.stack([k, i, width - k - i], dim=-1)


def exact_format(values: Tensor) -> Tensor:
    """(k, i, f) [..., 3] with the fewest bits that hold each value exactly. Raises CompressError beyond 16 fraction bits."""
    for f in range(-16, 17):
        n = values.double() * 2.0**f
        if torch.equal(n, n.floor()):
            largest = torch.where(n < 0, -n - 1, n)  # -2^b needs no more bits than 2^b - 1
            bits = torch.ceil(torch.log2(largest + 1)).long()
            return torch.stack([(n < 0).long(), bits - f, torch.full_like(bits, f)], -1)
    raise CompressError("a constant of this network needs more than 16 fraction bits")


def _is_weight(network: FixedPointNetwork, name: str) -> bool:
    return name in network.graph.parameter_shapes()


def _own_axes(network: FixedPointNetwork, name: str, quantiser: Quantiser, widths: Widths) -> tuple[int, ...]:
    """Axes along which an activation's formats may differ."""
    if name in network.graph.table_indices or widths.activations_share == "tensor":
        return ()
    return (
        quantiser.along if widths.activations_share == "channel" else tuple(range(len(network.shape(name))))
    )


def _activation_format(network: FixedPointNetwork, name: str, quantiser: Quantiser, widths: Widths) -> Tensor:
    low, high = quantiser.low_seen, quantiser.high_seen
    assert low is not None
    assert high is not None
    operation = network.graph.by_name[name]
    if operation.op == "table":
        return format_for(low.reshape(()).clamp(min=0), high.reshape(()), widths.tables)
    if name not in network.graph.table_indices:
        return format_for(low, high, widths.activations)
    functions = {t["function"] for t in network.graph.of_kind("table") if t.of[0] == name}
    most = EXPONENT_INTEGER_BITS if functions == {"exp"} else 16
    i = int(format_for(low.reshape(()) * 0, high.reshape(()) * (1 + 1e-6), widths.tables)[1])
    return torch.tensor([0, min(max(i, 0), most), widths.tables - min(max(i, 0), most)])


def _weight_format(network: FixedPointNetwork, name: str, widths: Widths) -> Tensor:
    values = network.weight(name).detach()
    if not network.weight(name).requires_grad:
        return exact_format(values)
    if not name.endswith(".weight"):
        return format_for(values, values, widths.biases)
    axes = {"tensor": [0, 1], "channel": [1], "element": []}[widths.weights_share]
    low, high = (values.amin(axes, True), values.amax(axes, True)) if axes else (values, values)
    return format_for(low, high, widths.weights)
