"""One training in several processes, as `torchrun` starts them: each takes a share of every batch.

    torchrun --nproc-per-node 4 -m jetformer_model train jets.h5 --out large.safetensors

Gradients are averaged over all processes, and batch norms see the tokens of all: the losses are those of one process that
takes whole batches, up to rounding. The first process writes the files.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

_CPU = torch.device("cpu")


@dataclass(frozen=True)
class Process:
    """This process among `world` of them."""

    rank: int = 0
    world: int = 1
    device: torch.device = _CPU

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    def wrap(self, network: nn.Module) -> nn.Module:
        """The network with gradients averaged over all processes."""
        if self.world == 1:
            return network
        return DistributedDataParallel(network)

    def total(self, *numbers: float) -> list[float]:
        """Sums over all processes."""
        if self.world == 1:
            return list(numbers)
        sums = torch.tensor(numbers, dtype=torch.float64, device=self.device)
        distributed.all_reduce(sums)
        return sums.tolist()


ALONE = Process()


@contextmanager
def processes(device: str = "auto") -> Iterator[Process]:
    """The process that this is. Started by torchrun, all of them meet here; else there is one.

    device: "auto" takes a GPU where there is one, each process of a host its own
    """
    use_gpu = torch.cuda.is_available() if device == "auto" else device.startswith("cuda")
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1:
        yield Process(device=torch.device(device if device != "auto" else "cuda" if use_gpu else "cpu"))
        return
    here = torch.device("cuda", int(os.environ["LOCAL_RANK"])) if use_gpu else torch.device("cpu")
    if use_gpu:
        torch.cuda.set_device(here)
    distributed.init_process_group("nccl" if use_gpu else "gloo")
    try:
        yield Process(distributed.get_rank(), world, here)
    finally:
        distributed.destroy_process_group()


def sum_over_processes(values: Tensor) -> Tensor:
    """Sums over all processes, through which gradients flow; the values themselves where there is one process."""
    if not distributed.is_initialized():
        return values
    summed: Tensor = _Sum.apply(values)
    return summed


class _Sum(torch.autograd.Function):
    """What adds up forwards adds up backwards: each process's value counts in every process's loss."""

    @staticmethod
    def forward(ctx: object, values: Tensor) -> Tensor:
        return _sum(values)

    @staticmethod
    def backward(ctx: object, gradient: Tensor) -> Tensor:
        return _sum(gradient)


def _sum(values: Tensor) -> Tensor:
    values = values.contiguous().clone()
    distributed.all_reduce(values)
    return values
