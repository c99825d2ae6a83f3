"""JetFormers with weights of one bit (BitLinear; Wang et al., arXiv:2310.11453, in the form that JetFormer's paper gives).

    y = W_b Q(x) + b        W_b = beta sign(W - mean W), beta = mean |W|        Q(x) = s round(x / s), s = max |x| / 127

in q, k, v, the output projection and the feed-forward layer; embedding and head keep float32. max |x| is taken over the
channels of one token, so that a jet's answer depends on no other jet. sign(0) is 1. Gradients pass W -> W_b and x -> Q(x)
as if they were not there (straight-through).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from jetformer_model.config import Architecture
from jetformer_model.errors import ModelError
from jetformer_model.network import JetFormer
from jetformer_model.norm import EPSILON

LEVELS = 127  # of 8 bits, on each side of 0
SIGNS, SCALES = "one_bit.signs", "one_bit.scales"


@dataclass(frozen=True)
class OneBit:
    """Which form of BitLinear.

    power_of_two: beta becomes the nearest power of two (of its logarithm), s the next one above: all scaling is shifting
    normalise: divide x by its root mean square over channels before Q, as BitNet does; the paper's equations don't
    """

    power_of_two: bool = False
    normalise: bool = False

    @classmethod
    def from_dict(cls, stored: Any) -> OneBit:
        """From the header of a state. Raises ModelError for missing entries."""
        try:
            return cls(*(bool(stored[field.name]) for field in dataclasses.fields(cls)))
        except (KeyError, TypeError) as error:
            raise ModelError(f"header entry 'one_bit' is incomplete: {error}") from error


class BitLinear(nn.Linear):
    """A linear layer of the module's formula; `weight` [out, in] holds W, or, once `frozen`, W_b."""

    def __init__(self, inputs: int, outputs: int, bias: bool, form: OneBit) -> None:
        super().__init__(inputs, outputs, bias)
        self.form = form
        self.frozen = False

    def binary(self) -> tuple[Tensor, Tensor]:
        """Signs, True = +1, [out, in]; and beta []."""
        weight = self.weight.detach()
        if self.frozen:
            return weight > 0, weight.abs().max()
        beta = weight.abs().mean()
        if self.form.power_of_two:
            beta = beta.log2().round().exp2()
        return weight >= weight.mean(), beta

    def binary_weight(self) -> Tensor:
        """W_b, with the gradient of W."""
        if self.frozen:
            return self.weight
        signs, beta = self.binary()
        return _straight_through(self.weight, torch.where(signs, beta, -beta))

    def forward(self, x: Tensor) -> Tensor:
        if self.form.normalise:
            x = x * torch.rsqrt(x.square().mean(-1, keepdim=True) + EPSILON)
        return functional.linear(
            eight_bits(x, self.form.power_of_two), self.binary_weight().to(x.dtype), self.bias
        )


def eight_bits(x: Tensor, power_of_two: bool = False) -> Tensor:
    """Q(x) over the last axis, with the gradient of x; steps of max |x| / 127, or of the next power of two above."""
    step = x.detach().abs().amax(-1, keepdim=True).clamp(min=1e-5) / LEVELS
    if power_of_two:
        step = step.log2().ceil().exp2()
    return _straight_through(x, (x.detach() / step).round().clamp(-LEVELS - 1, LEVELS) * step)


class OneBitJetFormer(JetFormer):
    """A JetFormer whose blocks are made of BitLinear."""

    def __init__(self, architecture: Architecture, form: OneBit | None = None) -> None:
        super().__init__(architecture)
        self.form = form or OneBit()
        for block in self.each_block():
            for part, name in (
                *((block.attention, name) for name in ("q", "k", "v", "output")),
                *((block.feedforward, name) for name in ("expand", "contract")),
            ):
                old = getattr(part, name)
                new = BitLinear(old.in_features, old.out_features, old.bias is not None, self.form)
                new.load_state_dict(old.state_dict())
                setattr(part, name, new)

    def bit_layers(self) -> dict[str, BitLinear]:
        """By name, block by block: q, k, v, output, expand, contract."""
        return {name: layer for name, layer in self.named_modules() if isinstance(layer, BitLinear)}

    @torch.no_grad()
    def freeze(self) -> OneBitJetFormer:
        """Forget W and keep W_b alone, as a file does; the answers stay, to the last bit."""
        for layer in self.bit_layers().values():
            layer.weight.copy_(layer.binary_weight())
            layer.frozen = True
        return self

    def packed(self) -> dict[str, Tensor]:
        """The tensors of a state file: W_b as one bit a weight and one beta a layer."""
        layers = self.bit_layers()
        pairs = [layer.binary() for layer in layers.values()]
        signs = [np.packbits(sign.cpu().numpy().ravel()) for sign, _ in pairs]
        kept = {
            name: tensor
            for name, tensor in self.state_dict().items()
            if name.removesuffix(".weight") not in layers
        }
        scales = torch.stack([beta for _, beta in pairs]).float()
        return kept | {SIGNS: torch.from_numpy(np.concatenate(signs)), SCALES: scales}

    def unpacked(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Inverse of `packed`, for `load_state_dict`; the layers are frozen. Raises ModelError for other shapes."""
        layers = self.bit_layers()
        sizes = [math.ceil(layer.weight.numel() / 8) for layer in layers.values()]
        for name, size, kind in ((SIGNS, sum(sizes), torch.uint8), (SCALES, len(layers), torch.float32)):
            if name not in tensors:
                raise ModelError(f"state key {name!r} is missing")
            found = tensors[name]
            if found.shape != (size,) or found.dtype != kind:
                raise ModelError(
                    f"state key {name!r}: expected {kind} ({size},), got {found.dtype} {tuple(found.shape)}"
                )
        plain = {name: tensor for name, tensor in tensors.items() if name not in (SIGNS, SCALES)}
        parts = tensors[SIGNS].split(sizes)
        for (name, layer), part, beta in zip(layers.items(), parts, tensors[SCALES], strict=True):
            bits = np.unpackbits(part.numpy(), count=layer.weight.numel())
            signs = torch.from_numpy(bits.astype(bool)).view(layer.weight.shape)
            plain[f"{name}.weight"] = torch.where(signs, beta, -beta)
            layer.frozen = True
        return plain

    def plain(self) -> JetFormer:
        """A JetFormer with the weights W_b as ordinary numbers, for programs that know no BitLinear.

        Without the 8 bits of activations (a fixed-point network has formats of its own), so that answers differ by their
        rounding. Raises ModelError for the form that normalises, which no JetFormer can hold.
        """
        if self.form.normalise:
            raise ModelError(
                "a one-bit network that normalises before rounding is no JetFormer with other weights"
            )
        network = JetFormer(self.architecture)
        tensors = self.state_dict()
        with torch.no_grad():
            weights = {f"{name}.weight": layer.binary_weight() for name, layer in self.bit_layers().items()}
        network.load_state_dict(tensors | weights)
        return network.eval()


def _straight_through(x: Tensor, rounded: Tensor) -> Tensor:
    """`rounded`, exactly, with the gradient of x."""
    if not torch.is_grad_enabled():
        return rounded
    result: Tensor = _Through.apply(x, rounded)
    return result


class _Through(torch.autograd.Function):
    # x + (rounded - x).detach() would not give `rounded` to the last bit
    @staticmethod
    def forward(ctx: object, x: Tensor, rounded: Tensor) -> Tensor:
        return rounded.view_as(rounded)

    @staticmethod
    def backward(ctx: object, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient, None
