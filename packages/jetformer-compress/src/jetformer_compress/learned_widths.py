"""Number formats that training chooses: i and f of each format are numbers with gradients, rounded where they are used.

    dQ/df = ln 2 (x - Q(x))      what is lost by rounding halves with each bit
    dQ/di = ln 2 * bound         where x lies beyond the bound -k 2^i or 2^i, 0 inside
    dQ/dx = 1 inside, 0 beyond   (straight through)

The first is the surrogate of HGQ (arXiv:2405.00645, section 3). A format with i + f <= 0 holds only 0: what it belongs to is
pruned, and as long as training lasts it may come back.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from jetformer_compress.calibration import Widths
from jetformer_model.fixed_point import FixedPointNetwork
from jetformer_model.quantiser import Quantiser, StraightThrough

MOST_FRACTION_BITS = 14
# An optimiser like Adam moves any number by about the learning rate in a step; a bit is as far as so many such numbers.
SPEED = 16.0
LN2 = math.log(2)
GOLDEN_RATIO = (
    math.sqrt(5) - 1
) / 2  # its multiples are spread evenly over an interval, however many there are


class _Rounding(torch.autograd.Function):
    """Q(x) with the gradients above; k, i and f broadcast against x."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, k: Tensor, i: Tensor, f: Tensor) -> Tensor:
        step, top = torch.exp2(-f), torch.exp2(i)
        low, high = -k * top, top - step
        q = torch.clamp(torch.floor(x / step + 0.5) * step, low, high)
        q = torch.where(i + f <= 0, 0.0, q)
        ctx.save_for_backward(x, q, low, top, i, f)
        return q

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, Tensor | None, Tensor]:
        x, q, low, top, i, f = ctx.saved_tensors
        inside = (x >= low) & (x < top)
        of_x = gradient * inside
        of_f = (LN2 * of_x * (x - q)).sum_to_size(f.shape)
        of_i = None
        if ctx.needs_input_grad[2]:
            of_i = LN2 * gradient * (torch.where(x >= top, top, 0.0) + torch.where(x < low, low, 0.0))
            of_i = of_i.sum_to_size(i.shape)
        return of_x, None, of_i, of_f


class LearnedActivation(Quantiser):
    """The format of an activation, of the features, or of a table's index or entries.

    learn_range: whether i is trained; if not it stays what calibration found, as it must for a table
    least_bits: of i + f: 0 allows to prune, an index needs 1
    """

    k: Tensor

    def __init__(self, kif: Tensor, learn_range: bool, least_bits: int) -> None:
        super().__init__()
        self.is_set = True
        self.least_bits = least_bits
        k, i, f = kif.float().unbind(-1)
        self.register_buffer("k", k.clone())
        self.slow_i = nn.Parameter(i / SPEED, requires_grad=learn_range)
        self.slow_f = nn.Parameter(_spread(f) / SPEED)

    @property
    def first_step(self) -> Tensor:
        return torch.exp2(-self.formats()[2].detach())

    def formats(self, values: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        i = _rounded(SPEED * self.slow_i)
        f = torch.maximum(_rounded(SPEED * self.slow_f).clamp(max=MOST_FRACTION_BITS), self.least_bits - i)
        return self.k, i, f

    def forward(self, x: Tensor) -> Tensor:
        q: Tensor = _Rounding.apply(x, *(part.to(x.dtype) for part in self.formats()))
        return q

    def settled(self, shift: float) -> Tensor:
        """The formats (k, i, f) int8, with f rounded after `shift` is added."""
        i = (SPEED * self.slow_i.detach()).round()
        f = torch.maximum(
            (SPEED * self.slow_f.detach() + shift).round().clamp(max=MOST_FRACTION_BITS), self.least_bits - i
        )
        kif = torch.stack([self.k, i, f], -1)
        return torch.where((i + f <= 0).unsqueeze(-1), 0.0, kif).to(torch.int8)


class LearnedWeight(Quantiser):
    """The format of a matrix: f is trained, i follows from the largest weight that shares it."""

    def __init__(self, f: Tensor) -> None:
        super().__init__()
        self.is_set = True
        self.slow_f = nn.Parameter(_spread(f.float()) / SPEED)

    def formats(self, values: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        assert values is not None
        f = _rounded(SPEED * self.slow_f).clamp(max=MOST_FRACTION_BITS)
        return self._range(values.detach(), f.detach()), self._integer_bits(values.detach(), f.detach()), f

    def forward(self, x: Tensor) -> Tensor:
        f = _rounded(SPEED * self.slow_f).clamp(max=MOST_FRACTION_BITS).to(x.dtype)
        everywhere = torch.full((), 16.0, dtype=x.dtype, device=x.device)
        q: Tensor = _Rounding.apply(x, torch.ones_like(everywhere), everywhere, f)
        return q

    def settled(self, values: Tensor, shift: float) -> Tensor:
        """The formats (k, i, f) int8 for these weights, with f rounded after `shift` is added."""
        f = (SPEED * self.slow_f.detach() + shift).round().clamp(max=MOST_FRACTION_BITS)
        i = self._integer_bits(values.detach(), f)
        kif = torch.stack([self._range(values.detach(), f), i, f], -1)
        return torch.where((i + f <= 0).unsqueeze(-1), 0.0, kif).to(torch.int8)

    def _integer_bits(self, values: Tensor, f: Tensor) -> Tensor:
        """Those of the largest rounded weight; -f, which leaves no bits, where all are 0."""
        n = _shared_maximum((torch.floor(values.abs() * torch.exp2(f) + 0.5)), f.shape)
        return torch.floor(torch.log2(n.clamp(min=0.5))) + 1 - f

    def _range(self, values: Tensor, f: Tensor) -> Tensor:
        return _shared_maximum((torch.floor(values * torch.exp2(f) + 0.5) < 0).float(), f.shape)


def learn(network: FixedPointNetwork, formats: dict[str, Tensor], widths: Widths, learn_ranges: bool) -> None:
    """Let training choose the formats of matrices and activations, starting from `formats`; those of biases and of constants
    stay."""
    indices = network.graph.table_indices
    tables = {table.name for table in network.graph.of_kind("table")}
    weights = {f"{linear.name}.weight" for linear in network.graph.of_kind("linear")}
    for name, quantiser in network.named_quantisers():
        if name in weights and network.weight(name).requires_grad:
            network.replace_quantiser(name, LearnedWeight(formats[name][..., 2]))
        elif name in network.graph.parameter_shapes():
            quantiser.set_format(formats[name])
        else:
            of_table = name in indices or name in tables
            learned = LearnedActivation(formats[name], learn_ranges and not of_table, 1 if of_table else 0)
            network.replace_quantiser(name, learned)


def settled(network: FixedPointNetwork, shift: float = 0.0) -> dict[str, Tensor]:
    """The formats that training has chosen, by name; a negative `shift` of every f makes some of them narrower."""
    found = {}
    for name, quantiser in network.named_quantisers():
        if isinstance(quantiser, LearnedWeight):
            found[name] = quantiser.settled(network.weight(name), shift)
        else:
            found[name] = (
                quantiser.settled(shift) if isinstance(quantiser, LearnedActivation) else quantiser.kif
            )
    return {name: kif.cpu() for name, kif in found.items()}


def _spread(f: Tensor) -> Tensor:
    """f plus less than half a bit, evenly spread, so that formats that are moved alike don't all lose a bit in one step."""
    places = torch.arange(f.numel(), device=f.device, dtype=f.dtype).reshape(f.shape)
    return f + (places * GOLDEN_RATIO) % 0.98 - 0.49


def _rounded(x: Tensor) -> Tensor:
    rounded: Tensor = StraightThrough.apply(x.detach().round(), x)
    return rounded


def _shared_maximum(x: Tensor, shape: torch.Size) -> Tensor:
    axes = [axis for axis, (n, m) in enumerate(zip(x.shape, shape, strict=True)) if n != m]
    return x.amax(axes, keepdim=True) if axes else x
