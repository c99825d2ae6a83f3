"""The publication's search on generated jets of 8 constituents x 3 features, from 80 trials to a retrained network.

    JETFORMER_BENCH_TAGGING_JETS=jets.h5 python ci/bench.py hpo flow

The constraint lies as far below the accuracy of the smallest published network (4 blocks, d 8) as in the publication: 0.6
points (0.65 against 0.656). Trainings run on a GPU where there is one. All is kept in build/bench/flow; interrupted, it
goes on.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import torch

from jetformer_hpo import findings

FOLDER = Path("build/bench/flow")
BELOW = 0.006
TRIALS, SEEDS = 80, 3
ON_GPU = torch.cuda.is_available()
WORKERS = 3 if ON_GPU else 2
EPOCHS = 10


def tool(name: str, *arguments: object) -> str:
    """Run a command of ours; what it prints."""
    command = [sys.executable, "-m", f"jetformer_{name}", *map(str, arguments)]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def train(jets: Path, out: Path, *options: object) -> dict[str, Any]:
    """Train, and evaluate on the test split: accuracy, its statistical error, number of jets."""
    if not out.exists():
        tool("model", "train", jets, *options, "--out", out)
    found = json.loads(tool("model", "evaluate", out, jets, "--json"))
    return {name: found[name] for name in ("accuracy", "accuracy_error", "jets")}


def trained_twice(study: Path) -> int:
    """Points with more than one finished training."""
    with findings.opened(study) as opened:
        points = Counter(str(trial.params) for trial in opened.trials if trial.values)
    return sum(count - 1 for count in points.values())


def measure() -> dict[str, Any]:
    if "JETFORMER_BENCH_TAGGING_JETS" not in os.environ:
        return {"skipped": "JETFORMER_BENCH_TAGGING_JETS is not set: it names the jets"}
    jets = Path(os.environ["JETFORMER_BENCH_TAGGING_JETS"]).resolve()
    FOLDER.mkdir(parents=True, exist_ok=True)
    begin = time.monotonic()
    published = ("--preset", "tiny", "--constituents", 8, "--epochs", EPOCHS, "--batch-size", 256)
    tiny = train(jets, FOLDER / "tiny.safetensors", *published)
    least = round(tiny["accuracy"] - BELOW, 3)
    study, out = FOLDER / "search/study.sqlite3", FOLDER / "search"
    options = ("--trials", TRIALS, "--workers", WORKERS, "--sampler", "nsga3", "--epochs", EPOCHS)
    tool("hpo", "search", jets, "--out", out, *options, "--constraint", f"accuracy>={least}")
    seconds = time.monotonic() - begin
    tool("hpo", "confirm", study, "--seeds", SEEDS, "--workers", WORKERS)
    files = ("--csv", FOLDER / "front.csv", "--latex", FOLDER / "front.tex", "--plot", FOLDER / "front.png")
    front = json.loads(tool("hpo", "front", study, *files, "--json"))
    tool("hpo", "export", study, FOLDER / "smallest.toml", "--seed", 101)
    smallest = train(jets, FOLDER / "smallest.safetensors", "--config", FOLDER / "smallest.toml")
    members = [one for one in front["candidates"] if one["kind"] == "pareto"]
    return {
        "front_points": len(members),
        "duplicates_trained": trained_twice(study),
        "flow_trials": len(front["candidates"]),
        "flow_seconds": seconds,
        "flow_workers": WORKERS,
        "flow_epochs": EPOCHS,
        "flow_device": torch.cuda.get_device_name() if ON_GPU else "cpu",
        "flow_constraint": f"accuracy>={least}",
        "flow_tiny": tiny,
        "flow_front": members,
        "flow_smallest": smallest | {"configuration": (FOLDER / "smallest.toml").read_text()},
    }
