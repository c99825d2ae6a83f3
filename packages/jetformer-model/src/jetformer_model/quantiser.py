"""Number formats (k, i, f) and rounding to their grids (docs/interfaces/model-state.md)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from jetformer_model.errors import ModelError


class StraightThrough(torch.autograd.Function):
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
    passes unchanged and its range is recorded in `low_seen` and `high_seen`, for calibration.

    along: axes of x, counted after that of jets, along which ranges are kept apart
    """

    kif: Tensor
    step: Tensor
    low: Tensor
    high: Tensor

    def __init__(self, along: Sequence[int] = ()) -> None:
        super().__init__()
        self.along = tuple(along)
        self.is_set = False
        self._first_step = 2.0**-10
        self.low_seen: Tensor | None = None
        self.high_seen: Tensor | None = None
        self.register_buffer("kif", torch.zeros(3, dtype=torch.int8))
        for name in ("step", "low", "high"):
            self.register_buffer(name, torch.ones((), dtype=torch.float64), persistent=False)

    def set_format(self, kif: Tensor) -> None:
        """Quantise to `kif` [..., 3] from now on."""
        if kif.dim() < 1 or kif.shape[-1] != 3:
            raise ModelError(f"a number format: expected a last axis (k, i, f), got shape {tuple(kif.shape)}")
        self.kif = kif.to(self.kif.device, torch.int8)
        self.step, self.low, self.high = grid(*self.kif.double().unbind(-1))
        self.is_set = True
        if kif.numel() == 3:
            self._first_step = float(
                self.step
            )  # here, since asking a GPU for a number in each pass would wait for it

    @property
    def first_step(self) -> float | Tensor:
        """2^-f of a single format; a small number while it is not set."""
        return self._first_step

    def formats(self, values: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """(k, i, f) as floating-point tensors. values: of a weight, for those whose range follows their values."""
        k, i, f = self.kif.float().unbind(-1)
        return k, i, f

    def forward(self, x: Tensor) -> Tensor:
        if not self.is_set:
            self._observe(x.detach())
            return x
        step, low, high = (bound.to(x.dtype) for bound in (self.step, self.low, self.high))
        exact = torch.clamp(torch.floor(x.detach() / step + 0.5) * step, low, high)
        return StraightThrough.apply(exact, torch.clamp(x, low, high))

    def _observe(self, x: Tensor) -> None:
        others = [axis for axis in range(x.dim()) if axis - 1 not in self.along]
        low, high = (
            bound.squeeze(0) for bound in (x.amin(others, keepdim=True), x.amax(others, keepdim=True))
        )
        self.low_seen = low if self.low_seen is None else torch.minimum(self.low_seen, low)
        self.high_seen = high if self.high_seen is None else torch.maximum(self.high_seen, high)


def grid(k: Tensor, i: Tensor, f: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(step, least, greatest) of formats given as floating-point tensors; a format without bits holds only 0."""
    empty = k + i + f <= 0
    step = torch.exp2(-f)
    low = torch.where(empty, 0.0, -k * torch.exp2(i))
    high = torch.where(empty, 0.0, torch.exp2(i) - step)
    return step, low, high
