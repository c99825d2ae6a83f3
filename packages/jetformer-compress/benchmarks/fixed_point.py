"""Accuracy against cost of networks in fixed point: tiny, trigger presets and JEDI-linear, quantised by one command.

    JETFORMER_BENCH_TAGGING_JETS=jets.h5 python ci/bench.py compress fixed_point

Each network is trained in float and then along falling budgets of EBOPs; LUT are the estimate of jetformer-fpga. The
accuracies are those of the test split, and `error` that of their difference (paired bootstrap). What was made is kept in
build/bench/compress, and an interrupted run goes on. On a CPU one small network and few epochs: a test of the benchmark,
and no figure.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pruned import FOLDER, ON_GPU, TRAIN, conditions, jets_file, make, side_by_side

from jetformer_compress.held_out import compare
from jetformer_fpga import objectives
from jetformer_model.state import load

SIZES = (8, 16, 32) if ON_GPU else (8,)
STEPS, EPOCHS = (6, 30) if ON_GPU else (2, 3)
JEDI = ((64, ()), (32, ("--embed-dim", 32)), (16, ("--embed-dim", 16)))


@dataclass(frozen=True)
class Entry:
    """A network to train and the ways to quantise it: files by what is appended to their names, and options."""

    name: str
    constituents: int
    train: tuple[object, ...]
    quantize: tuple[tuple[str, tuple[object, ...]], ...]


@dataclass(frozen=True)
class Judged:
    """As objectives are given a network: by the file of its state."""

    state: Path


def entries() -> list[Entry]:
    front = (("front", ("--ebops", 10_000, "--front", STEPS)),)
    six = ("--weight-bits", 6, "--activation-bits", 6)
    tiny = (("6-bit", six), ("learned", ("--ebops", 400_000)))
    found = [Entry("tiny", 8, ("--preset", "tiny"), tiny)] if ON_GPU else []
    for constituents in SIZES:
        preset = f"trigger-{constituents}"
        found.append(Entry(preset, constituents, ("--preset", preset), front))
        for width, options in JEDI if ON_GPU else JEDI[-1:]:
            train = ("--preset", "jedi-linear", *options)
            found.append(Entry(f"jedi-linear-{width}", constituents, train, front))
    return found


def one(path: Path, entry: Entry) -> list[dict[str, Any]]:
    """Train and quantise one network; a row for each state in fixed point."""
    stem = FOLDER / f"{entry.name}-{entry.constituents}"
    before = stem.with_name(f"{stem.name}-float.safetensors")
    make(before, "jetformer_model", "train", path, *entry.train, "--constituents", entry.constituents, *TRAIN)
    rows = []
    for name, options in entry.quantize:
        after = stem.with_name(f"{stem.name}-{name}.safetensors")
        states = [after.with_stem(f"{after.stem}-{n}") for n in range(1, STEPS + 1)]
        states = states if "--front" in options else [after]
        options = (*options, "--epochs", EPOCHS)
        make(after, "jetformer_compress", "quantize", before, path, *options, last=states[-1])
        rows += [row(path, entry, before, state) for state in states]
    return rows


def row(path: Path, entry: Entry, before: Path, after: Path) -> dict[str, Any]:
    fixed = load(after)
    test = compare(load(before), fixed, path)
    low, high = test["difference"]["interval"]
    return {
        "network": entry.name,
        "constituents": entry.constituents,
        **{name: fixed.metrics[name] for name in ("mean_weight_bits", "mean_activation_bits", "ebops")},
        "accuracy_float": test["before"]["accuracy"],
        "accuracy_fixed": test["after"]["accuracy"],
        "error": (high - low) / 2,
        "luts": objectives.luts(Judged(after)),
        "latency_cycles": objectives.latency_cycles(Judged(after)),
    }


def measure() -> dict[str, Any]:
    path = jets_file()
    done = side_by_side([lambda e=entry: one(path, e) for entry in entries()])
    rows = [row for rows in done for row in rows]
    for found in rows:
        print(f"  {found}", flush=True)
    return {"fixed_point": rows, "fixed_point_conditions": conditions(path) | {"epochs": EPOCHS, "seeds": 1}}
