"""What a compressed network costs and gives, next to others: time, FLOPs, parameters, size on disk, accuracy.

All are timed alike: the PyTorch network of the state, called as `network(x, mask)` in float32 on jets whose slots are all
full, so that times before and after a compression are those of one implementation. PyTorch has no product of one-bit or
fixed-point numbers: such networks gain size and hardware, not time here.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from jetformer_compress import held_out
from jetformer_model.dataset import open_split
from jetformer_model.errors import ModelError
from jetformer_model.flops import flops, parameters
from jetformer_model.network import JetFormer
from jetformer_model.state import State, load
from jetformer_model.taggers import Tagger, counting

BATCHES = (1, 32, 1024, 10_240)
WARM_UP, REPEATS, FEWEST = 20, 500, 5


@dataclass(frozen=True)
class Time:
    """Median seconds of one batch, and of how many runs."""

    device: str
    batch: int
    seconds: float
    runs: int

    @property
    def microseconds_a_jet(self) -> float:
        """µs."""
        return 1e6 * self.seconds / self.batch


@dataclass(frozen=True)
class Measured:
    """One state. FLOPs and parameters of a quantised network are those of its float form; accuracy: of test jets, with its
    interval of 68 %, None where no jets were given."""

    name: str
    kind: str
    flops: int
    parameters: int
    bytes: int
    accuracy: dict[str, Any] | None
    times: tuple[Time, ...]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def measure(
    paths: Sequence[Path],
    data: Path | None = None,
    batches: Sequence[int] = BATCHES,
    devices: Sequence[str] = ("cpu",),
    seconds: float = 2.0,
) -> Iterator[Measured]:
    """The states one after another.

    data: jets whose test split gives accuracies, all by the same resamples
    seconds: for the runs of one batch size on one device; at least 5 runs, at most 500
    """
    states = [load(path) for path in paths]
    accuracies = _accuracies(states, data, torch.device(devices[-1])) if data else [None] * len(states)
    for path, state, accuracy in zip(paths, states, accuracies, strict=True):
        times = tuple(
            median_time(state, torch.device(device), batch, seconds)
            for device in devices
            for batch in batches
        )
        counts = _counts(state)
        yield Measured(path.stem, state.kind, *counts, path.stat().st_size, accuracy, times)


def median_time(state: State, device: torch.device, batch: int, seconds: float) -> Time:
    """Of `batch` full jets at once, after 20 runs to warm up (fewer where they take longer than `seconds`)."""
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(batch, state.constituents, len(state.inputs.features), generator=generator).to(device)
    mask = torch.ones(x.shape[:2], dtype=torch.bool, device=device)
    network = state.network.to(device).eval()
    try:
        with torch.inference_mode():
            _runs(network, x, mask, WARM_UP, seconds / 4)
            runs = _runs(network, x, mask, REPEATS, seconds)
    except torch.cuda.OutOfMemoryError:
        raise ModelError(f"the GPU's memory is too small for a batch of {batch:,} jets") from None
    finally:
        network.cpu()
    return Time(device.type, batch, statistics.median(runs), len(runs))


def device_name(device: str) -> str:
    """What was measured on."""
    if device.startswith("cuda"):
        return f"{torch.cuda.get_device_name(device)}, torch {torch.__version__}"
    return f"CPU, {torch.get_num_threads()} threads, torch {torch.__version__}"


def _runs(network: nn.Module, x: torch.Tensor, mask: torch.Tensor, most: int, seconds: float) -> list[float]:
    times: list[float] = []
    while len(times) < FEWEST or (len(times) < most and sum(times) < seconds):
        _wait(x)
        begin = time.perf_counter()
        network(x, mask)
        _wait(x)
        times.append(time.perf_counter() - begin)
    return times


def _wait(x: torch.Tensor) -> None:
    if x.is_cuda:
        torch.cuda.synchronize(x.device)


def _counts(state: State) -> tuple[int, int]:
    network = state.network
    if isinstance(network, JetFormer | Tagger):
        return counting.flops(network), counting.parameters(network)
    return flops(state.architecture), parameters(state.architecture)


def _accuracies(states: Sequence[State], data: Path, device: torch.device) -> list[dict[str, Any]]:
    right = {}
    for number, state in enumerate(states):
        jets = open_split(data, "test", state.inputs, state.constituents, state.class_names)
        right[str(number)] = held_out.right_answers(state, jets, device)
    return [held_out.plain(one) for one in held_out.estimates(right).values()]
