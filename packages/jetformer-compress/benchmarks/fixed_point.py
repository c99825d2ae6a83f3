"""Accuracy against cost of networks in fixed point: tiny, trigger presets and JEDI-linear, quantised by one command.

    JETFORMER_BENCH_TAGGING_JETS=jets.h5 python ci/bench.py compress fixed_point

Tiny JetFormers, also pruned and with one-bit weights, in six bits and with learned widths. Trigger presets and JEDI-linear
of three widths, trained in float and then along falling budgets of EBOPs; LUT are the estimate of jetformer-fpga.
Accuracies are those of the test split, and `error` that of their difference (paired bootstrap). What was made is kept in
build/bench/compress, and an interrupted run goes on. On a CPU one small network and few epochs: a test of the benchmark,
and no figure. Where matplotlib is installed, build/bench/compress/front.png shows accuracy against LUT.
"""

from __future__ import annotations

import concurrent.futures
import importlib.util
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pruned import FOLDER, ON_GPU, TRAIN, conditions, jets_file, make, side_by_side, trained_and_pruned

from jetformer_compress.held_out import compare
from jetformer_fpga import objectives
from jetformer_model import plotting
from jetformer_model.state import load

SIZES = (8, 16, 32) if ON_GPU else (8,)
STEPS, EPOCHS = (6, 30) if ON_GPU else (2, 3)
JEDI = (64, 32, 16) if ON_GPU else (16,)
LEAST_EBOPS = 10_000
QUANTIZE = ("--epochs", EPOCHS, "--batch-size", 1024)
FRONT = (("front", ("--ebops", LEAST_EBOPS, "--front", STEPS)),)
SIX_BIT = ("6-bit", ("--weight-bits", 6, "--activation-bits", 6))


@dataclass(frozen=True)
class Entry:
    """A float network, by what makes it and returns its file, and the ways to quantise it: names and options."""

    name: str
    constituents: int
    make: Callable[[Path], Path]
    ways: tuple[tuple[str, tuple[object, ...]], ...]


@dataclass(frozen=True)
class Made:
    """States of a network before and after. Objectives are given it, too."""

    name: str
    constituents: int
    before: Path
    state: Path


def entries() -> list[Entry]:
    """The longest first, so that no GPU waits at the end."""
    found = []
    for constituents in sorted(SIZES, reverse=True):
        for width in JEDI:
            found.append(_trained(f"jedi-linear-{width}", constituents, "jedi-linear", "--embed-dim", width))
        found.append(_trained("trigger", constituents, f"trigger-{constituents}"))
    return [*found, *_tiny()] if ON_GPU else found


def _trained(name: str, constituents: int, *preset: object) -> Entry:
    def train(path: Path) -> Path:
        out = FOLDER / f"{name}-{constituents}-float.safetensors"
        make(
            out, "jetformer_model", "train", path, "--preset", *preset, "--constituents", constituents, *TRAIN
        )
        return out

    return Entry(name, constituents, train, FRONT)


def _tiny() -> Iterator[Entry]:
    """The first network of pruned.py and what becomes of it."""

    def one_bit(path: Path) -> Path:
        out = FOLDER / "tiny-one-bit.safetensors"
        make(out, "jetformer_compress", "binarize", trained_and_pruned(path, 0, 0)[0], path)
        return out

    yield Entry(
        "tiny",
        8,
        lambda path: trained_and_pruned(path, 0, 0)[0],
        (SIX_BIT, ("learned", ("--ebops", 300_000))),
    )
    pruned_ways = (SIX_BIT, ("learned", ("--ebops", 150_000)))
    yield Entry("tiny-pruned", 8, lambda path: trained_and_pruned(path, 0, 0)[1], pruned_ways)
    yield Entry("tiny-one-bit", 8, one_bit, (("8-bit", ("--activation-bits", 8)),))


def quantised(path: Path, entry: Entry) -> list[Made]:
    """Train and quantise one network."""
    before = entry.make(path)
    found = []
    for way, options in entry.ways:
        after = FOLDER / f"{entry.name}-{entry.constituents}-{way}.safetensors"
        states = [after.with_stem(f"{after.stem}-{n}") for n in range(1, STEPS + 1)]
        states = states if "--front" in options else [after]
        make(after, "jetformer_compress", "quantize", before, path, *options, *QUANTIZE, last=states[-1])
        found += [Made(entry.name, entry.constituents, before, state) for state in states]
    return found


def row(path: Path, made: Made) -> dict[str, Any]:
    """What one state in fixed point costs and can do."""
    fixed = load(made.state)
    test = compare(load(made.before), fixed, path)
    low, high = test["difference"]["interval"]
    return {
        "network": made.name,
        "constituents": made.constituents,
        "state": made.state.name,
        **{name: fixed.metrics[name] for name in ("mean_weight_bits", "mean_activation_bits", "ebops")},
        "accuracy_float": test["before"]["accuracy"],
        "accuracy_fixed": test["after"]["accuracy"],
        "error": (high - low) / 2,
        "luts": objectives.luts(made),
        "latency_cycles": objectives.latency_cycles(made),
    }


def measure() -> dict[str, Any]:
    path = jets_file()
    done = side_by_side([lambda e=entry: quantised(path, e) for entry in entries()])
    made = [state for states in done for state in states]
    with concurrent.futures.ProcessPoolExecutor(mp_context=multiprocessing.get_context("spawn")) as pool:
        rows = []
        for found in pool.map(row, [path] * len(made), made):
            rows.append(found)
            print(f"  {found}", flush=True)
    if importlib.util.find_spec("mplhep"):
        draw(rows, FOLDER / "front.png")
    return {"fixed_point": rows, "fixed_point_conditions": conditions(path) | {"epochs": EPOCHS, "seeds": 1}}


def draw(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Accuracy against estimated LUT, a panel for each number of constituents."""
    sizes = sorted({found["constituents"] for found in rows})
    with plotting.style():
        figure = plotting.new_figure(9 * len(sizes), 8)
        for constituents, axes in zip(sizes, figure.subplots(1, len(sizes), squeeze=False)[0], strict=True):
            here = [found for found in rows if found["constituents"] == constituents]
            for name in dict.fromkeys(found["network"] for found in here):
                its = sorted((found for found in here if found["network"] == name), key=lambda r: r["luts"])
                axes.errorbar(
                    [found["luts"] for found in its],
                    [100 * found["accuracy_fixed"] for found in its],
                    yerr=[100 * found["error"] for found in its],
                    marker="o",
                    ls="-" if name.startswith(("trigger", "jedi")) else "none",
                    lw=3 if name == "trigger" else 1.5,
                    label=name,
                )
            axes.set(xscale="log", xlabel="LUT (estimate)", ylabel="Test accuracy (%)")
            axes.legend(title=f"{constituents} constituents", loc="lower right")
        figure.savefig(path, dpi=60)
