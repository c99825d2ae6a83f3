"""Jets a second of JetFormer and of the transformers it is compared with, on one GPU, at JetClass size, all in one run.

    jetformer-data generate --style jetclass --jets 5000 --seed 7 jets.h5
    JETFORMER_BENCH_JETS=jets.h5 python ci/bench.py model gpu

The jets of the file are repeated until a batch is full, so multiplicities are those of the file. Inference: JetFormer in
float16, the others under bfloat16 autocast; training: forward, backward and AdamW under bfloat16 autocast. "eager"
is the padded batch without a compiler, as published code runs; "packed" is ours. Times are medians of CUDA events.
"""

from __future__ import annotations

import copy
import os
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from jetformer_data import schema
from jetformer_data.jets import concatenate
from jetformer_model.inputs import Inputs
from jetformer_model.network import JetFormer
from jetformer_model.taggers import build
from jetformer_model.tokens import Ragged, pad

CONSTITUENTS = 128
SEED = 1
PACKED_BATCH, EAGER_BATCH = 16_384, 1_024
REPEATS = 8


@dataclass
class Jets:
    """One ragged batch on the GPU."""

    x: Tensor
    offsets: Tensor
    labels: Tensor
    inputs: Inputs

    def head(self, jets: int) -> Jets:
        offsets = self.offsets[: jets + 1]
        return Jets(self.x[: int(offsets[-1])], offsets, self.labels[:jets], self.inputs)


def load(path: str, jets: int) -> Jets:
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
        torch.from_numpy(x.astype(np.float32)).cuda(),
        torch.from_numpy(many.offsets.astype(np.int32)).cuda(),
        torch.from_numpy(many.labels).cuda(),
        inputs,
    )


def seconds(step: Callable[[], object]) -> float:
    """Median time of one call."""
    for _ in range(3):
        step()
    times = []
    for _ in range(REPEATS):
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        step()
        end.record()
        torch.cuda.synchronize()
        times.append(begin.elapsed_time(end) / 1e3)
    return statistics.median(times)


def training_step(network: nn.Module, forward: Callable[[], Tensor], labels: Tensor) -> Callable[[], None]:
    network.train()
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-4, fused=True)

    def step() -> None:
        with torch.autocast("cuda", torch.bfloat16):
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
        "peak_gib": torch.cuda.max_memory_allocated() / 2**30,
    }
    print(
        {key: round(value, 2) if isinstance(value, float) else value for key, value in run.items()},
        flush=True,
    )
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
        with torch.no_grad(), torch.autocast("cuda", torch.bfloat16):
            logits: Tensor = network(x, mask)
            return logits

    inference = seconds(infer)
    training = seconds(training_step(network, lambda: network(x, mask), jets.labels))
    return record(name, "padded, eager", jets, inference, training)


def measure() -> dict[str, Any]:
    if not torch.cuda.is_available():
        return {"skipped": "needs a CUDA GPU"}
    path = os.environ.get("JETFORMER_BENCH_JETS")
    if not path:
        return {
            "skipped": "JETFORMER_BENCH_JETS is not set: it names a file of generated jets, style jetclass"
        }
    torch.manual_seed(SEED)
    jets = load(path, PACKED_BATCH)
    few = jets.head(EAGER_BATCH)

    def network(name: str) -> Any:
        return build(name, jets.inputs, constituents=CONSTITUENTS, classes=10).cuda()

    ours, details = packed(network("jetformer-large"), jets)
    runs = [ours, *(
        eager(name.removesuffix("-large"), network(name), few)
        for name in ("jetformer-large", "particle-transformer", "particle-transformer-plain", "particlenet")
    )]  # fmt: skip
    part = runs[2]
    return details | {
        "device": f"{torch.cuda.get_device_name()}, torch {torch.__version__}",
        "seed": SEED,
        "mean_constituents": len(jets.x) / len(jets.labels),
        "runs": runs,
        "infer_ratio_to_part": ours["infer_jets_per_s"] / part["infer_jets_per_s"],
        "train_ratio_to_part": ours["train_jets_per_s"] / part["train_jets_per_s"],
    }
