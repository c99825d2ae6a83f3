"""Test accuracy of models 0, 1 and 2 of the publication's Table 4 before and after pruning at 0.5, several seeds.

    JETFORMER_BENCH_TAGGING_JETS=jets.h5 python ci/bench.py compress pruned

Everything is done by the commands `jetformer-model train` and `jetformer-compress prune`; what they made is kept in
build/bench/compress, and an interrupted run goes on from there, also on another machine. JETFORMER_BENCH_JOBS processes
share a GPU. Without one, few small networks are trained, which is a test of the benchmark and no figure, unless
JETFORMER_BENCH_FULL is set. Without jets, 20,000 of HLS4ML style are generated. `error` is that of the difference of
accuracies: over seeds and over test jets (paired bootstrap), in quadrature.
"""

from __future__ import annotations

import concurrent.futures
import itertools
import math
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import torch

from jetformer_data.generation import generate
from jetformer_data.schema import Reader
from jetformer_model.flops import flops
from jetformer_model.state import load

GPUS = torch.cuda.device_count()
FULL = GPUS > 0 or "JETFORMER_BENCH_FULL" in os.environ
FOLDER = Path("build/bench/compress").absolute()
JETS, SEED = 20_000, 11
MODELS, SEEDS = ((0, 1, 2), 3) if FULL else ((0,), 1)
BLOCKS = 4  # of model 0
# Processes a GPU. It works for one at a time, unless its multi-process service runs.
JOBS = int(os.environ.get("JETFORMER_BENCH_JOBS", "2")) if GPUS else 1
TRAIN = ("--epochs", 25, "--patience", 25)  # one cycle is as long as its epochs; the rest as published
PRUNE = ("--ratio", 0.5, "--last-epochs", 25)  # the last network is trained as long as the first was
_worker = threading.local()


def jets_file() -> Path:
    """The jets that all is trained on."""
    path = Path(os.environ.get("JETFORMER_BENCH_TAGGING_JETS", "build/bench/tagging_jets.h5")).absolute()
    if not path.exists():
        generate(path, jets=JETS, seed=SEED, style="hls4ml", features="hls4ml-3")
    return path


def conditions(path: Path, states: Iterable[Path]) -> dict[str, Any]:
    """What the figures mean nothing without: jets, and where the states were trained."""
    with Reader(path) as reader:
        jets = len(reader)
    trained = [load(state).provenance for state in states]
    made = {(found["device"], found["versions"]["torch"]) for found in trained if "device" in found}
    return {"jets": jets, "trained_on": sorted(f"{device}, torch {version}" for device, version in made)}


def make(out: Path, module: str, command: str, *arguments: object, last: Path | None = None) -> None:
    """Run a command that writes the state `out`, or several of which one is the `last`, unless it is there.

    Its last words are shown if it fails.
    """
    if (last or out).exists():
        return
    out.parent.mkdir(parents=True, exist_ok=True)
    line = [sys.executable, "-m", module, command, *map(str, arguments), "--out", str(out)]
    chosen = {"CUDA_VISIBLE_DEVICES": str(_worker.gpu)} if hasattr(_worker, "gpu") else {}
    begin = time.monotonic()
    done = subprocess.run(line, capture_output=True, text=True, check=False, env=os.environ | chosen)
    if done.returncode:
        raise RuntimeError(f"{out.stem}: {done.stderr.strip().splitlines()[-1]}")
    print(f"  {out.stem}: {time.monotonic() - begin:.0f} s", flush=True)


def side_by_side(jobs: Sequence[Callable[[], Any]]) -> list[Any]:
    """What the jobs return, in their order, several running at the same time on each GPU."""
    numbers = itertools.count()

    def choose_gpu() -> None:
        if GPUS:
            _worker.gpu = next(numbers) % GPUS

    with concurrent.futures.ThreadPoolExecutor(JOBS * max(GPUS, 1), initializer=choose_gpu) as pool:
        return [future.result() for future in [pool.submit(job) for job in jobs]]


def mean_and_error(tests: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Over seeds, from the test accuracies that the states' provenance holds."""
    differences = [test["difference"]["accuracy"] for test in tests]
    low, high = zip(*(test["difference"]["interval"] for test in tests), strict=True)
    sample = (statistics.mean(high) - statistics.mean(low)) / 2
    seeds = statistics.stdev(differences) / math.sqrt(len(tests)) if len(tests) > 1 else 0.0
    return {
        "accuracy_before": statistics.mean(test["before"]["accuracy"] for test in tests),
        "accuracy_after": statistics.mean(test["after"]["accuracy"] for test in tests),
        "error": math.hypot(sample, seeds),
    }


def trained_and_pruned(path: Path, model: int, seed: int) -> tuple[Path, Path]:
    """The states of one network."""
    before, after = (FOLDER / f"model{model}-{name}-seed{seed}.safetensors" for name in ("float", "pruned"))
    shape = ("--preset", "tiny", "--blocks", BLOCKS + model, "--seed", seed)
    make(before, "jetformer_model", "train", path, *shape, *TRAIN)
    make(after, "jetformer_compress", "prune", before, path, *PRUNE, "--seed", seed)
    return before, after


def one(path: Path, model: int, seed: int) -> dict[str, Any]:
    """Train and prune one network."""
    before, after = trained_and_pruned(path, model, seed)
    state = load(after)
    test: dict[str, Any] = state.provenance["prune"]["test"]
    return {"test": test, "before": flops(load(before).architecture), "after": flops(state.architecture)}


def measure() -> dict[str, Any]:
    path = jets_file()
    entries = [(model, seed) for model in MODELS for seed in range(SEEDS)]
    done = side_by_side([lambda m=model, s=seed: one(path, m, s) for model, seed in entries])
    rows = []
    for model in MODELS:
        found = [result for (other, _), result in zip(entries, done, strict=True) if other == model]
        row = {"model": model, "flops_before": found[0]["before"], "flops_after": found[0]["after"]}
        rows.append(row | mean_and_error([result["test"] for result in found]))
        print(f"  {rows[-1]}", flush=True)
    return {
        "pruned": rows,
        "pruned_conditions": conditions(path, FOLDER.glob("model*-float-*.safetensors"))
        | {"seeds": SEEDS, "ratio": 0.5, "options": PRUNE},
    }
