"""Loss and gradients of one batch. On a GPU they are recorded once as a CUDA graph and replayed.

A small network is hundreds of kernels of a few microseconds each, and starting them one by one takes far longer than
their work. The optimiser stays outside of the graph, where learning rates may change.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

# The allocator and the libraries settle before anything is recorded.
WARM_UP = 3

# (logits, x, where, labels) -> what is minimised; x and where as the network got them
Loss = Callable[[Tensor, Tensor, Any, Tensor], Tensor]


def cross_entropy(logits: Tensor, x: Tensor, where: object, labels: Tensor) -> Tensor:
    """Mean over jets."""
    return functional.cross_entropy(logits, labels)


class Gradients:
    """`gradients(x, where, labels)` fills the parameters' gradients and returns the mean loss, detached.

    network: in training mode, `network(x, where) -> logits`
    loss: what is minimised
    bf16: products in bfloat16 (autocast)
    recorded: the size of the batches that are recorded, those with a mask and on a GPU; 0: none
    """

    def __init__(
        self, network: nn.Module, loss: Loss = cross_entropy, bf16: bool = False, recorded: int = 0
    ) -> None:
        self.network = network
        self.loss = loss
        self.bf16 = bf16
        self.recorded = recorded
        self._replay: _Recording | None = None

    def __call__(self, x: Tensor, where: Any, labels: Tensor) -> Tensor:
        if len(labels) != self.recorded or not x.is_cuda or not isinstance(where, Tensor):
            return self._now(x, where, labels)
        if self._replay is None:
            self._replay = _Recording(self.network, self._now, (x, where, labels))
        return self._replay(x, where, labels)

    def _now(self, x: Tensor, where: Any, labels: Tensor) -> Tensor:
        self.network.zero_grad()
        # no cache of cast weights: a recording could not tell that they have changed
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.bf16, cache_enabled=False):
            logits = self.network(x, where)
        loss = self.loss(logits.float(), x, where, labels)
        loss.backward()
        return loss.detach()


class _Recording:
    """A step on inputs that lie where they lay when it was recorded."""

    def __init__(self, network: nn.Module, step: Callable[..., Tensor], inputs: tuple[Tensor, ...]) -> None:
        self.inputs = tuple(tensor.clone() for tensor in inputs)
        self.parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
        before = [(buffer, buffer.clone()) for buffer in network.buffers()]
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(WARM_UP):
                step(*self.inputs)
        torch.cuda.current_stream().wait_stream(aside)
        for buffer, value in before:  # running statistics of norms, which the warm-up moved
            buffer.copy_(value)
        network.zero_grad()
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self.loss = step(*self.inputs)
        self.gradients = [parameter.grad for parameter in self.parameters]

    def __call__(self, *inputs: Tensor) -> Tensor:
        for mine, given in zip(self.inputs, inputs, strict=True):
            mine.copy_(given)
        self.graph.replay()
        for parameter, gradient in zip(self.parameters, self.gradients, strict=True):
            parameter.grad = gradient
        return self.loss.clone()
