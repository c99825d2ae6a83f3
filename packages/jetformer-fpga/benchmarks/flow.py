"""The whole way of one network, from nothing and again: synth with resources, compile, verify 10,000 jets.

    JETFORMER_BENCH_TAGGING_JETS=jets.h5 python ci/bench.py fpga flow

The network is the first design of designs.py whose name begins with "tiny"; where there is none, one of that shape with
random weights, and generated jets. The cache is empty at first. `flow_cached_seconds` is the same two commands again.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import designs

from jetformer_data import schema
from jetformer_data.testing import example_jets
from jetformer_fpga.testing import random_state

COUNT = 10_000
WIDTHS = {"attention_dims": (8,) * 4, "feedforward_dims": (16,) * 4}


def measure() -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path, jets = network(folder, COUNT)
        environment = os.environ | {"XDG_CACHE_HOME": str(folder / "cache")}
        commands = (
            ("synth", str(path), "--out", str(folder / "firmware")),
            ("verify", str(folder / "firmware"), "--data", str(jets), "--split", "all", "--jets", str(COUNT)),
        )
        first = [_seconds(command, environment) for command in commands]
        again = [_seconds(command, environment) for command in commands]
    return {
        "flow_seconds": round(sum(first), 1),
        "flow_cached_seconds": round(sum(again), 1),
        "flow_parts": {
            "synth": first[0],
            "verify": first[1],
            "synth_again": again[0],
            "verify_again": again[1],
        },
        "flow_network": path.stem,
        "flow_jets": COUNT,
    }


def network(folder: Path, jets: int) -> tuple[Path, Path]:
    """State and jets; so many of them are generated where no file is named."""
    chosen = [path for name, path in designs.states().items() if name.startswith("tiny")]
    if chosen and designs.jets().exists():
        return chosen[0], designs.jets().resolve()
    schema.write(folder / "jets.h5", example_jets(jets, seed=5))
    return random_state(folder / "random-tiny.safetensors", seed=1, **WIDTHS), folder / "jets.h5"


def _seconds(command: tuple[str, ...], environment: dict[str, str]) -> float:
    start = time.monotonic()
    subprocess.run([sys.executable, "-m", "jetformer_fpga", *command], env=environment, check=True)
    return round(time.monotonic() - start, 1)
