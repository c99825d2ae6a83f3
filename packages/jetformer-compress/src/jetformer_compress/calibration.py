"""Number formats chosen from what a folded network was seen to compute."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from jetformer_compress.errors import CompressError
from jetformer_model.dataset import Dataset
from jetformer_model.fixed_point import FixedPointJetFormer, FixedPointLinear, Quantiser
from jetformer_model.training import predict

# exp(-8) = 0.0003 is the smallest weight that the exponential's table tells from 0.
EXPONENT_INTEGER_BITS = 3


@dataclass(frozen=True)
class Widths:
    """Total widths in bits: k + i + f.

    weights: of every matrix; each row (output) gets its own i and f
    biases: of every bias, offset and of the class token
    activations: of every intermediate result; each channel gets its own k, i and f
    tables: of the index of both softmax tables, of the exponential's and the reciprocal's entries
    """

    weights: int = 6
    biases: int = 8
    activations: int = 8
    tables: int = 8

    def __post_init__(self) -> None:
        for name in ("weights", "biases", "activations", "tables"):
            if not 2 <= getattr(self, name) <= 16:
                raise CompressError(f"width of {name}: expected 2 to 16 bits, got {getattr(self, name)}")


def calibrate(network: FixedPointJetFormer, data: Dataset, widths: Widths) -> None:
    """Give every number of a folded network its (k, i, f): i from the largest value seen over `data`, f from the width."""
    predict(network, data)
    formats = {}
    for name, quantiser in network.quantisers().items():
        last = name.rsplit(".", 1)[-1]
        if last.endswith("_format"):
            continue
        formats[name] = _activation_format(last, quantiser, network.architecture.tokens, widths)
    for name, module in network.named_modules():
        if isinstance(module, FixedPointLinear):
            rows = module.weight.detach()
            by_row = format_for(rows.amin(1), rows.amax(1), widths.weights)
            formats[f"{name}.weight_format"] = by_row.unsqueeze(1)
            if module.bias is not None:
                formats[f"{name}.bias_format"] = _vector_format(module.bias, widths)
    formats["class_token_format"] = _vector_format(network.class_token, widths)
    for index, block in enumerate(network.each_block()):
        formats[f"blocks.{index}.feedforward.offset_format"] = _vector_format(
            block.feedforward.offset, widths
        )
    network.set_formats(formats)


def format_for(low: Tensor, high: Tensor, width: int) -> Tensor:
    """(k, i, f) [..., 3] of `width` bits in all that hold `low` to `high`, elementwise: i as small, f as large as can be."""
    k = (low < 0).long()
    largest = torch.maximum(high, -low).double().clamp(min=2.0**-16)
    i = torch.ceil(torch.log2(largest)).long()
    return torch.stack([k, i, width - k - i], dim=-1)


def _activation_format(name: str, quantiser: Quantiser, tokens: int, widths: Widths) -> Tensor:
    softmax_formats = {
        "exponent": (0, EXPONENT_INTEGER_BITS, widths.tables - EXPONENT_INTEGER_BITS),
        "exp": (0, 0, widths.tables),
        "sum": (0, tokens.bit_length(), widths.tables - tokens.bit_length()),
        "reciprocal": (0, 0, widths.tables),
    }
    if name in softmax_formats:
        return torch.tensor(softmax_formats[name])
    assert quantiser.low_seen is not None
    assert quantiser.high_seen is not None
    if name == "score":  # its last axis is the key token: one format for all
        return format_for(quantiser.low_seen.amin(), quantiser.high_seen.amax(), widths.activations)
    return format_for(quantiser.low_seen, quantiser.high_seen, widths.activations)


def _vector_format(vector: Tensor, widths: Widths) -> Tensor:
    values = vector.detach()
    return format_for(values, values, widths.biases)
