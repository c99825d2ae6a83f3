"""A budget of EBOPs that training meets.

    loss = cross-entropy + m ln EBOPs,      m = exp(s + GAIN e),   s <- s + RATE / steps * e  after each step

with e = ln(EBOPs / target): the price m of a per cent of EBOPs rises while there are too many and falls while there are
too few. The target falls from the first EBOPs to the budget on a logarithmic scale over the first DESCENT of the steps, and
stays there.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

DESCENT = 0.6
GAIN, RATE = 10.0, 20.0
FIRST_PRICE = 0.01
LEAST, GREATEST = math.log(1e-6), math.log(10.0)
# The target is a little lower than the budget, so that chance does not leave the network above it.
MARGIN = 0.98


class Budget(nn.Module):
    """The price of EBOPs, which follows from their history; a module, so that checkpoints hold it.

    ebops: that the last step is to have; steps: that there are
    """

    log_price: Tensor
    step: Tensor
    log_first: Tensor

    def __init__(self, ebops: float, steps: int) -> None:
        super().__init__()
        self.log_goal, self.steps = math.log(MARGIN * ebops), steps
        self.register_buffer("log_price", torch.tensor(math.log(FIRST_PRICE)))
        self.register_buffer("step", torch.tensor(0.0))
        self.register_buffer("log_first", torch.tensor(math.nan))

    def forward(self, ebops: Tensor) -> Tensor:
        """What is added to the loss of a training step."""
        log_ebops = ebops.clamp(min=1).log()
        now = log_ebops.detach()
        # in place, so that a step that is recorded on a GPU goes on with what it left
        self.log_first.copy_(torch.where(self.log_first.isnan(), now, self.log_first))
        error = now - self._target()
        price = (self.log_price + GAIN * error).clamp(LEAST, GREATEST).exp()
        self.log_price.copy_((self.log_price + RATE / self.steps * error).clamp(LEAST, GREATEST))
        self.step.add_(1)
        return price * log_ebops

    def _target(self) -> Tensor:
        share = (self.step / (DESCENT * self.steps)).clamp(max=1)
        return self.log_first + share * (self.log_goal - self.log_first).clamp(max=0)
