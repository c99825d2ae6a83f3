"""JetFormer in fixed point: the network that firmware computes, trainable in PyTorch.

The equations, the meaning of (k, i, f) and the names of all tensors are in docs/interfaces/model-state.md. In evaluation
everything is computed in float64, where every sum and product of this network is exact, so the result does not depend on the
order in which a library adds. In training the same operations run in float32, and gradients pass straight through rounding.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from jetformer_model.config import Architecture
from jetformer_model.errors import ModelError


class _StraightThrough(torch.autograd.Function):
    """The value of the first argument with the gradient of the second."""

    @staticmethod
    def forward(ctx: object, exact: Tensor, surrogate: Tensor) -> Tensor:
        return exact.view_as(exact)

    @staticmethod
    def backward(ctx: object, gradient: Tensor) -> tuple[None, Tensor]:
        return None, gradient


class Quantiser(nn.Module):
    """Q(x) = clamp(floor(x 2^f + 1/2), -k 2^(i + f), 2^(i + f) - 1) 2^-f: rounds half up and saturates.

    The format is a tensor [..., 3] of (k, i, f) whose leading axes broadcast against x. Until `set_format` is called, x
    passes unchanged and its range a channel (last axis) is recorded in `low_seen` and `high_seen`, for calibration.
    """

    kif: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("kif", torch.zeros(3, dtype=torch.int8))
        self.low_seen: Tensor | None = None
        self.high_seen: Tensor | None = None
        self._grid: tuple[Tensor, Tensor, Tensor] | None = None

    def set_format(self, kif: Tensor) -> None:
        """Quantise to `kif` [..., 3] from now on."""
        if kif.dim() < 1 or kif.shape[-1] != 3:
            raise ModelError(f"a number format: expected a last axis (k, i, f), got shape {tuple(kif.shape)}")
        self.kif = kif.to(torch.int8)
        k, i, f = np.moveaxis(kif.cpu().numpy().astype(np.int64), -1, 0)
        empty = k + i + f <= 0  # no bits: only 0
        step = np.ldexp(1.0, -f)
        low = np.where(empty, 0.0, -k * np.ldexp(1.0, i))
        high = np.where(empty, 0.0, np.ldexp(1.0, i) - step)
        self._grid = (self._bound(step), self._bound(low), self._bound(high))

    @property
    def is_set(self) -> bool:
        """Whether a format has been chosen."""
        return self._grid is not None

    def forward(self, x: Tensor) -> Tensor:
        if self._grid is None:
            self._observe(x.detach())
            return x
        step, low, high = (bound.to(x) for bound in self._grid)
        inside = torch.clamp(x, low, high)
        exact = torch.clamp(torch.floor(x.detach() / step + 0.5) * step, low, high)
        return _StraightThrough.apply(exact, inside)

    def _bound(self, values: NDArray[np.float64]) -> Tensor:
        return torch.from_numpy(np.asarray(values)).to(self.kif.device)

    def _observe(self, x: Tensor) -> None:
        flat = x.reshape(-1, x.shape[-1]) if x.dim() else x.reshape(1, 1)
        low, high = flat.amin(0), flat.amax(0)
        self.low_seen = low if self.low_seen is None else torch.minimum(self.low_seen, low)
        self.high_seen = high if self.high_seen is None else torch.maximum(self.high_seen, high)


class FixedPointLinear(nn.Module):
    """W x + b with weights on their grids; the sum is exact, so that a Quantiser after it rounds once."""

    def __init__(self, inputs: int, outputs: int, bias: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(outputs, inputs))
        self.weight_format = Quantiser()
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        if bias:
            self.bias_format = Quantiser()

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight_format(self.weight.to(x.dtype))
        bias = None if self.bias is None else self.bias_format(self.bias.to(x.dtype))
        return functional.linear(x, weight, bias)


class FixedPointAttention(nn.Module):
    """Attention with a softmax of two tables: exp of the distance to the largest score, and one reciprocal a row.

    The reciprocal multiplies once, after the product with v. Includes the residual sum.
    """

    exp_table: Tensor
    reciprocal_table: Tensor

    def __init__(self, embed_dim: int, attention_dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q = FixedPointLinear(embed_dim, attention_dim)
        self.k = FixedPointLinear(embed_dim, attention_dim)
        self.v = FixedPointLinear(embed_dim, attention_dim)
        self.output = FixedPointLinear(attention_dim, embed_dim)
        self.query, self.key, self.value = Quantiser(), Quantiser(), Quantiser()
        self.score, self.exponent, self.exp = Quantiser(), Quantiser(), Quantiser()
        self.sum, self.reciprocal = Quantiser(), Quantiser()
        self.weighted, self.attended, self.residual = Quantiser(), Quantiser(), Quantiser()
        self.register_buffer("exp_table", torch.zeros(0))
        self.register_buffer("reciprocal_table", torch.zeros(0))

    def build_tables(self) -> None:
        """Fill both tables from the formats; the reciprocal of 0 repeats that of the first step."""
        n = _grid_points(self.exponent)
        self.exp_table = self.exp(torch.exp(-n)).float().to(self.exp_table.device)
        n = _grid_points(self.sum)
        n[0] = n[1]
        self.reciprocal_table = self.reciprocal(1 / n).float().to(self.reciprocal_table.device)

    def forward(self, t: Tensor, mask: Tensor, queries: int) -> Tensor:
        """t [jets, tokens, d], mask [jets, tokens], True = real -> [jets, queries, d]."""
        q, k, v = self.query(self.q(t[:, :queries])), self.key(self.k(t)), self.value(self.v(t))
        q, k, v = (x.unflatten(-1, (self.heads, -1)).transpose(1, 2) for x in (q, k, v))
        mask = mask[:, None, None, :]
        score = self.score(q @ k.transpose(-1, -2))
        largest = score.masked_fill(~mask, -torch.inf).amax(-1, keepdim=True)
        weight = self._exp(self.exponent(largest - score)) * mask
        weighted = self._join(weight @ v)
        reciprocal = self._reciprocal(self.sum(weight.sum(-1, keepdim=True)))
        reciprocal = self._join(reciprocal.expand(*reciprocal.shape[:-1], v.shape[-1]))
        attended = self.attended(self.weighted(weighted) * reciprocal)
        return self.residual(t[:, :queries] + self.output(attended))

    def _join(self, x: Tensor) -> Tensor:
        """[jets, heads, queries, head_dim] -> [jets, queries, attention_dim]."""
        return x.transpose(1, 2).flatten(2)

    def _exp(self, distance: Tensor) -> Tensor:
        smooth = torch.exp(-distance)
        return self._look_up(self.exp_table, self.exponent, distance, smooth)

    def _reciprocal(self, total: Tensor) -> Tensor:
        smooth = 1 / total.clamp(min=0.5)
        return self._look_up(self.reciprocal_table, self.sum, total, smooth)

    def _look_up(self, table: Tensor, index_format: Quantiser, x: Tensor, smooth: Tensor) -> Tensor:
        if not index_format.is_set:
            return smooth
        index = (x.detach().double() * 2.0 ** int(index_format.kif[2])).long()
        return _StraightThrough.apply(table.to(x.dtype)[index], smooth)


class FixedPointFeedForward(nn.Module):
    """Two ReLU layers with folded norms, residual sum included: see the interface page for the sign and the offset."""

    sign: Tensor

    def __init__(self, embed_dim: int, hidden_dim: int) -> None:
        super().__init__()
        self.register_buffer("sign", torch.ones(embed_dim))
        self.offset = nn.Parameter(torch.zeros(embed_dim))
        self.offset_format = Quantiser()
        self.expand = FixedPointLinear(embed_dim, hidden_dim)
        self.contract = FixedPointLinear(hidden_dim, embed_dim, bias=False)
        self.input, self.hidden, self.output = Quantiser(), Quantiser(), Quantiser()

    def forward(self, t: Tensor) -> Tensor:
        """t [jets, tokens, d] -> [jets, tokens, d]."""
        offset = self.offset_format(self.offset.to(t.dtype))
        u = self.input(functional.relu(self.sign.to(t.dtype) * t + offset))
        h = self.hidden(functional.relu(self.expand(u)))
        return self.output(t + self.contract(h))


class FixedPointBlock(nn.Module):
    """Attention, then feed-forward."""

    def __init__(self, attention: FixedPointAttention, feedforward: FixedPointFeedForward) -> None:
        super().__init__()
        self.attention = attention
        self.feedforward = feedforward

    def forward(self, t: Tensor, mask: Tensor, queries: int) -> Tensor:
        """t [jets, tokens, d] -> the first `queries` tokens, [jets, queries, d]."""
        return self.feedforward(self.attention(t, mask, queries))


class FixedPointJetFormer(nn.Module):
    """A JetFormer whose norms are folded and whose numbers all have a (k, i, f)."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        a = architecture
        if a.norm != "folded" or a.activation != "relu":
            raise ModelError(
                f"a fixed-point network has folded norms and ReLU, not {a.norm!r} and {a.activation!r}"
            )
        self.architecture = a
        self.input = Quantiser()
        self.class_token = nn.Parameter(torch.zeros(a.embed_dim))
        self.class_token_format = Quantiser()
        self.embedding = FixedPointLinear(a.features, a.embed_dim)
        self.tokens = Quantiser()
        self.blocks = nn.ModuleList(
            FixedPointBlock(
                FixedPointAttention(a.embed_dim, attention_dim, a.heads),
                FixedPointFeedForward(a.embed_dim, hidden_dim),
            )
            for attention_dim, hidden_dim in zip(a.attention_dims, a.feedforward_dims, strict=True)
        )
        self.head = FixedPointLinear(a.embed_dim, a.classes)
        self.logits = Quantiser()

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Logits [jets, classes]; float64 on the grid of the format `logits` in evaluation.

        x: [jets, constituents, features], normalised, 0 where the mask is False; mask: True = real constituent.
        """
        x = x.float() if self.training else x.double()
        class_token = self.class_token_format(self.class_token.to(x.dtype)).expand(len(x), 1, -1)
        t = torch.cat([class_token, self.tokens(self.embedding(self.input(x)))], dim=1)
        mask = functional.pad(mask, (1, 0), value=True)
        last = len(self.blocks) - 1
        for index, block in enumerate(self.blocks):
            t = block(t, mask, 1 if index == last else t.shape[1])
        return self.logits(self.head(t[:, 0]))

    def each_block(self) -> Iterator[FixedPointBlock]:
        """The blocks in order, typed."""
        yield from cast("Iterable[FixedPointBlock]", self.blocks)

    def quantisers(self) -> dict[str, Quantiser]:
        """Every quantiser by its name, those of weights ending in `_format`."""
        return {name: module for name, module in self.named_modules() if isinstance(module, Quantiser)}

    def set_formats(self, formats: dict[str, Tensor]) -> None:
        """Give every quantiser its (k, i, f) [..., 3], by name, and fill the softmax tables.

        Raises ModelError if one has no format.
        """
        for name, quantiser in self.quantisers().items():
            if name not in formats:
                raise ModelError(f"the number format of {name!r} is missing")
            quantiser.set_format(formats[name])
        for block in self.each_block():
            block.attention.build_tables()

    def on_grid(self) -> dict[str, Tensor]:
        """The state dict with every parameter rounded to its grid: what a state file holds."""
        return self.state_dict() | {
            name: quantiser(parameter.detach().double()).float()
            for name, parameter, quantiser in self._parameters_on_grids()
        }

    def first_off_grid(self) -> str | None:
        """The first parameter or table with a value that its format cannot hold, or None."""
        for name, values, quantiser in (*self._parameters_on_grids(), *self._tables_on_grids()):
            if not torch.equal(quantiser(values.detach().double()), values.double()):
                return name
        return None

    def _parameters_on_grids(self) -> Iterator[tuple[str, Tensor, Quantiser]]:
        quantisers = self.quantisers()
        for name, parameter in self.named_parameters():
            yield name, parameter, quantisers[f"{name}_format"]

    def _tables_on_grids(self) -> Iterator[tuple[str, Tensor, Quantiser]]:
        for index, block in enumerate(self.each_block()):
            name, attention = f"blocks.{index}.attention", block.attention
            yield f"{name}.exp_table", attention.exp_table, attention.exp
            yield f"{name}.reciprocal_table", attention.reciprocal_table, attention.reciprocal


def _grid_points(quantiser: Quantiser) -> Tensor:
    """All values 0, 2^-f, ... of an unsigned format, float64."""
    k, i, f = (int(number) for number in quantiser.kif)
    if k or not 1 <= i + f <= 16:
        raise ModelError(
            f"the index of a table: expected an unsigned format of 1 to 16 bits, got {(k, i, f)}"
        )
    return torch.arange(2 ** (i + f), dtype=torch.float64) * 2.0**-f
