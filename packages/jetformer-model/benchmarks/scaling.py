"""Training speed on all GPUs of a host over that on one, at JetClass size, same batch a GPU.

JETFORMER_BENCH_JETS=jets.h5 python ci/bench.py model scaling        (the file as in speed.py)
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from speed import CONSTITUENTS, SEED, load, seconds, training_step

from jetformer_model.distributed import processes
from jetformer_model.taggers import build
from jetformer_model.tokens import Ragged

BATCH = 8_192  # jets a GPU


def rate() -> dict[str, Any]:
    """Jets a second over all processes that torchrun has started."""
    with processes("cuda") as process:
        torch.manual_seed(SEED)
        jets = load(Path(os.environ["JETFORMER_BENCH_JETS"]), BATCH)
        network = build("jetformer-large", jets.inputs, constituents=CONSTITUENTS, classes=10).cuda()
        network.compile(dynamic=False)
        whole = process.wrap(network)
        where = Ragged(jets.offsets, CONSTITUENTS)
        slowest = seconds(training_step(whole, lambda: whole(jets.x, where), jets.labels))
        return {
            "gpus": process.world,
            "train_jets_per_s": process.world * BATCH / slowest,
            "first": process.is_first,
        }


def measure() -> dict[str, Any]:
    gpus = torch.cuda.device_count()
    if gpus < 2:
        return {"skipped": f"needs a host with two GPUs or more, this one has {gpus}"}
    if not os.environ.get("JETFORMER_BENCH_JETS"):
        return {
            "skipped": "JETFORMER_BENCH_JETS is not set: it names a file of generated jets, style jetclass"
        }
    rates = {number: _launch(number) for number in (1, gpus)}
    return {
        "scaling_gpus": gpus,
        "scaling_train_jets_per_s": rates,
        "scaling_efficiency": rates[gpus] / (gpus * rates[1]),
    }


def _launch(number: int) -> float:
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "rate.json"
        launcher = [
            sys.executable,
            "-m",
            "torch.distributed.run",
            "--standalone",
            f"--nproc-per-node={number}",
        ]
        subprocess.run([*launcher, __file__, str(result)], check=True)
        return float(json.loads(result.read_text())["train_jets_per_s"])


if __name__ == "__main__":
    measured = rate()
    if measured["first"]:
        Path(sys.argv[1]).write_text(json.dumps(measured))
