"""Effective bit operations (EBOPs): what the operations of a network cost in a circuit.

    EBOPs = sum over products of two numbers of b_1 b_2, + ...,      b = max(i + f, 0), bits without the sign

    linear      each weight with each input that it meets
    matmul      each pair of factors
    multiply    each pair of elements; a factor of one bit is a sign or a shift, and free
    table       2^max(b - 6, 0) b_entry for each look-up: the 6-input look-up tables that hold it
    quantise    b of the result: the adder that rounds
    sum         b of each number that is summed

The first three are those of C. Sun et al., "Gradient-based Automatic Mixed Precision Quantization for Neural Networks
On-Chip", arXiv:2405.00645, who find LUTs + 55 DSPs in proportion to them. The others are ours, so that every width has a
price; without the last two, numbers that are only added stay as wide as they were. Maxima, gates and ReLU count nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from jetformer_model.exact_operations import aligned, apply
from jetformer_model.fixed_point import FixedPointNetwork
from jetformer_model.graph import Operation

LUT_INPUTS = 6


@dataclass(frozen=True)
class Bits:
    """i and f of every number of an array, [1, *shape], so that the operations of a graph can be applied to them."""

    i: Tensor
    f: Tensor

    @property
    def width(self) -> Tensor:
        """b."""
        return (self.i + self.f).clamp(min=0)


def ebops(network: FixedPointNetwork) -> Tensor:
    """EBOPs of one jet, a scalar through which gradients flow to the formats that are learned."""
    return torch.stack(list(ebops_by_operation(network).values())).sum()


def ebops_by_operation(network: FixedPointNetwork) -> dict[str, Tensor]:
    """EBOPs of each operation that has any, by its name."""
    bits: dict[str, Bits] = {}
    costs: dict[str, Tensor] = {}
    for operation in network.graph.operations:
        sources = [bits[name] for name in operation.of]
        bits[operation.name] = _bits(network, operation, sources)
        if operation.op in ("linear", "matmul", "multiply", "table", "quantise", "sum"):
            costs[operation.name] = _cost(network, operation, sources, bits[operation.name])
    return costs


def mean_bits(network: FixedPointNetwork) -> tuple[float, float]:
    """Mean widths k + i + f of the weights of matrices, and of the numbers between operations that are rounded (one each
    constituent and channel)."""
    weights = [f"{linear.name}.weight" for linear in network.graph.of_kind("linear")]
    activations = [operation.name for operation in network.graph.of_kind("features", "quantise")]
    return _mean_bits(network, weights), _mean_bits(network, activations)


def _mean_bits(network: FixedPointNetwork, names: list[str]) -> float:
    bits = [
        network.quantiser(name).kif.long().sum(-1).clamp(min=0).expand(network.shape(name)) for name in names
    ]
    return float(torch.cat([width.reshape(-1) for width in bits]).double().mean())


def _cost(network: FixedPointNetwork, operation: Operation, sources: list[Bits], result: Bits) -> Tensor:
    width = sources[0].width
    if operation.op == "quantise":
        return result.width.sum()
    if operation.op == "sum":
        return width.sum()
    if operation.op == "linear":
        weight = _weight_bits(network, f"{operation.name}.weight").width
        return (weight[0].sum(0) * width.reshape(-1, width.shape[-1]).sum(0)).sum()
    if operation.op == "matmul":
        return (width.sum(-2) * sources[1].width.sum(-1)).sum()
    if operation.op == "multiply":
        a, b = torch.broadcast_tensors(*aligned(width, sources[1].width))
        return torch.where((a > 1) & (b > 1), a * b, 0.0).sum()
    look_ups = math.prod(network.graph.shapes[operation.name])
    return look_ups * torch.exp2((width - LUT_INPUTS).clamp(min=0)).mean() * result.width.mean()


def _bits(network: FixedPointNetwork, operation: Operation, sources: list[Bits]) -> Bits:
    name, op, a = operation.name, operation.op, operation.attributes
    if op in ("features", "quantise", "table"):
        return _format(network, name)
    if op == "parameter":
        return _weight_bits(network, name)
    if op == "mask":
        shape = (1, *network.graph.shapes[name])
        return Bits(torch.ones(shape, device=network.device), torch.zeros(shape, device=network.device))
    if op in ("add", "subtract"):
        return Bits(*(torch.maximum(*aligned(x, y)) + grown for x, y, grown in _pairs(sources, 1)))
    if op == "multiply":
        return Bits(*(torch.add(*aligned(x, y)) for x, y, _ in _pairs(sources, 0)))
    if op in ("matmul", "linear"):
        return _of_product(network, operation, sources)
    if op == "gate":
        return sources[0]
    if op in ("sum", "maximum"):
        axis, keep = a["axis"] + 1, a.get("keep", False)
        grown = math.ceil(math.log2(sources[0].i.shape[axis])) if op == "sum" else 0
        return Bits(sources[0].i.amax(axis, keep) + grown, sources[0].f.amax(axis, keep))
    if op == "relu":
        return sources[0]
    return Bits(*(apply(op, parts, a) for parts in ([s.i for s in sources], [s.f for s in sources])))


def _pairs(sources: list[Bits], grown: int) -> list[tuple[Tensor, Tensor, int]]:
    a, b = sources
    return [(a.i, b.i, grown), (a.f, b.f, 0)]


def _of_product(network: FixedPointNetwork, operation: Operation, sources: list[Bits]) -> Bits:
    """Of a sum that is not rounded yet: the same for all numbers of the array, and rarely asked for."""
    other = sources[1] if operation.op == "matmul" else _weight_bits(network, f"{operation.name}.weight")
    terms = sources[0].i.shape[-1]
    i = sources[0].i.amax() + other.i.amax() + math.ceil(math.log2(terms))
    f = sources[0].f.amax() + other.f.amax()
    shape = (1, *network.graph.shapes[operation.name])
    return Bits(i.expand(shape), f.expand(shape))


def _format(network: FixedPointNetwork, name: str) -> Bits:
    _, i, f = network.quantiser(name).formats()
    shape = network.graph.shapes[name]
    return Bits(i.expand(1, *shape), f.expand(1, *shape))


def _weight_bits(network: FixedPointNetwork, name: str) -> Bits:
    weight = network.weight(name)
    _, i, f = network.quantiser(name).formats(weight)
    return Bits(i.expand(1, *weight.shape), f.expand(1, *weight.shape))
