"""Jets a second of JetFormer and of the networks it is compared with, at JetClass size, all in one run.

    python ci/bench.py model speed

The jets are those of the file that JETFORMER_BENCH_JETS names, or 1,000 generated ones of JetClass style; they are repeated
until a batch is full, so multiplicities are those of the file. "padded, eager" is the batch without a compiler, as published
code runs; "packed, compiled" is ours, on a GPU. On a GPU, inference: JetFormer packed in float16, the others under bfloat16
autocast; training: forward, backward and AdamW under bfloat16 autocast. On a CPU all is in float32. Times are medians.
"""

from __future__ import annotations

import copy
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from jetformer_data import schema
from jetformer_data.generation import generate
from jetformer_data.jets import concatenate
from jetformer_model.inputs import Inputs
from jetformer_model.network import JetFormer
from jetformer_model.taggers import build
from jetformer_model.tokens import Ragged, pad

CONSTITUENTS = 128
SEED = 1
ON_GPU = torch.cuda.is_available()
DEVICE = torch.device("cuda" if ON_GPU else "cpu")
PACKED_BATCH, EAGER_BATCH = (16_384, 1_024) if ON_GPU else (64, 64)
REPEATS, WARM_UP = (8, 3) if ON_GPU else (3, 1)
GENERATED, FOLDER = 1_000, Path("build/bench")


@dataclass
class Jets:
    """One ragged batch on the device."""

    x: Tensor
    offsets: Tensor
    labels: Tensor
    inputs: Inputs

    def head(self, jets: int) -> Jets:
        offsets = self.offsets[: jets + 1]
        return Jets(self.x[: int(offsets[-1])], offsets, self.labels[:jets], self.inputs)


def load(path: Path, jets: int) -> Jets:
    """`jets` jets of a file, repeated as needed, normalised by its constants."""
    stored = schema.read(path)
    assert stored.normalisation is not None
    inputs = Inputs(
        features=stored.feature_names,
        units=stored.feature_units,
        mean=tuple(stored.normalisation.mean.tolist()),
        std=tuple(stored.normalisation.std.tolist()),
        min_pt_gev=0.0,
    )
    many = concatenate([stored] * -(-jets // len(stored))).select(np.arange(jets))
    assert int(many.multiplicity.max()) <= CONSTITUENTS
    x = (many.constituents - stored.normalisation.mean) / stored.normalisation.std
    return Jets(
        torch.from_numpy(x.astype(np.float32)).to(DEVICE),
        torch.from_numpy(many.offsets.astype(np.int32)).to(DEVICE),
        torch.from_numpy(many.labels).to(DEVICE),
        inputs,
    )


def seconds(step: Callable[[], object]) -> float:
    """Median time of one call."""
    times = []
    for _ in range(WARM_UP + REPEATS):
        _wait()
        begin = time.perf_counter()
        step()
        _wait()
        times.append(time.perf_counter() - begin)
    return statistics.median(times[WARM_UP:])


def _wait() -> None:
    if ON_GPU:
        torch.cuda.synchronize()


def autocast() -> torch.autocast:
    return torch.autocast(DEVICE.type, torch.bfloat16, enabled=ON_GPU)


def training_step(network: nn.Module, forward: Callable[[], Tensor], labels: Tensor) -> Callable[[], None]:
    network.train()
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-4, fused=ON_GPU)

    def step() -> None:
        with autocast():
            logits = forward()
        optimiser.zero_grad()
        functional.cross_entropy(logits.float(), labels).backward()
        optimiser.step()

    return step


def operations(jets: Jets, blocks: int = 10, d: int = 128) -> float:
    """Multiply-accumulates of JetFormer on the real tokens of a batch, all of them in each block as published."""
    tokens = jets.offsets.diff().double() + 1
    per_jet = blocks * (8 * tokens * d * d + 2 * tokens.square() * d) + (tokens - 1) * jets.x.shape[1] * d
    return per_jet.sum().item()


def record(model: str, mode: str, jets: Jets, infer: float, train: float | None) -> dict[str, Any]:
    size = len(jets.labels)
    run = {
        "model": model,
        "mode": mode,
        "batch": size,
        "infer_jets_per_s": size / infer,
        "train_jets_per_s": None if train is None else size / train,
        "tflops": 2 * operations(jets) / infer / 1e12 if model == "jetformer" else None,
        "peak_gib": torch.cuda.max_memory_allocated() / 2**30 if ON_GPU else None,
    }
    print(
        {key: round(value, 2) if isinstance(value, float) else value for key, value in run.items()},
        flush=True,
    )
    if ON_GPU:
        torch.cuda.reset_peak_memory_stats()
    return run


def kernel_shares(step: Callable[[], object], most: int = 8) -> dict[str, float]:
    """Shares of the GPU's time by kernel, the largest first: what bounds a step."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
        step()
        torch.cuda.synchronize()
    times = {event.key: event.self_device_time_total for event in profile.key_averages()}
    total = sum(times.values())
    largest = sorted(times.items(), key=lambda item: -item[1])[:most]
    return {name: time / total for name, time in largest}


def packed(network: JetFormer, jets: Jets) -> tuple[dict[str, Any], dict[str, Any]]:
    """JetFormer's run; the largest difference of a logit from the padded float32 network, and where the time goes."""
    half = copy.deepcopy(network).half().eval()
    x, where = jets.x.half(), Ragged(jets.offsets, CONSTITUENTS)
    infer = torch.compile(half, dynamic=False, fullgraph=True)
    train = torch.compile(network, dynamic=False, fullgraph=True)
    with torch.no_grad():
        few = jets.head(EAGER_BATCH)
        exact = network.eval()(*pad(few.x, Ragged(few.offsets, CONSTITUENTS)))
        apart = (infer(x, where)[:EAGER_BATCH] - exact).abs().max().item()
        inference = seconds(lambda: infer(x, where))
        shares = {"inference": kernel_shares(lambda: infer(x, where))}
    step = training_step(network, lambda: train(jets.x, where), jets.labels)
    run = record("jetformer", "packed, compiled", jets, inference, seconds(step))
    shares["training"] = kernel_shares(step)
    return run, {"float16_largest_logit_difference": apart, "kernel_shares": shares}


def eager(name: str, network: nn.Module, jets: Jets) -> dict[str, Any]:
    x, mask = pad(jets.x, Ragged(jets.offsets, CONSTITUENTS))
    network.eval()

    def infer() -> Tensor:
        with torch.no_grad(), autocast():
            logits: Tensor = network(x, mask)
            return logits

    inference = seconds(infer)
    training = seconds(training_step(network, lambda: network(x, mask), jets.labels))
    return record(name, "padded, eager", jets, inference, training)


def measure() -> dict[str, Any]:
    path = Path(os.environ.get("JETFORMER_BENCH_JETS", FOLDER / "speed_jets.h5"))
    if not path.exists():
        generate(path, jets=GENERATED, seed=SEED, style="jetclass", features="jetclass-17")
    torch.manual_seed(SEED)
    jets = load(path, PACKED_BATCH)
    few = jets.head(EAGER_BATCH)

    def network(name: str) -> Any:
        return build(name, jets.inputs, constituents=CONSTITUENTS, classes=10).to(DEVICE)

    names = ("jetformer-large", "particle-transformer", "particle-transformer-plain", "particlenet")
    runs, details = [], {}
    if ON_GPU:
        run, details = packed(network("jetformer-large"), jets)
        runs.append(run)
    runs += [eager(name.removesuffix("-large"), network(name), few) for name in names]
    ours, part = runs[0], next(run for run in runs if run["model"] == "particle-transformer")
    device = torch.cuda.get_device_name() if ON_GPU else f"CPU, {torch.get_num_threads()} threads"
    return details | {
        "device": f"{device}, torch {torch.__version__}",
        "seed": SEED,
        "mean_constituents": len(jets.x) / len(jets.labels),
        "runs": runs,
        "infer_ratio_to_part": ours["infer_jets_per_s"] / part["infer_jets_per_s"],
        "train_ratio_to_part": ours["train_jets_per_s"] / part["train_jets_per_s"],
    }
