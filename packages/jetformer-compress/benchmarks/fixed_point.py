"""Accuracy against cost of networks in fixed point: tiny, trigger presets and JEDI-linear, quantised by one command.

    JETFORMER_BENCH_TAGGING_JETS=jets.h5 python ci/bench.py compress fixed_point

Tiny JetFormers, also pruned and with one-bit weights, within one budget of EBOPs each. Trigger presets and JEDI-linear
of several widths, trained in float and then along falling budgets of EBOPs; LUT are the estimate of jetformer-fpga.
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

from pruned import FOLDER, FULL, TRAIN, conditions, jets_file, make, side_by_side, trained_and_pruned

from jetformer_compress.held_out import compare
from jetformer_fpga import objectives
from jetformer_model import plotting
from jetformer_model.state import load

STEPS, EPOCHS = (6, 30) if FULL else (2, 3)
JEDI_LINEAR = (64, 32, 16) if FULL else (16,)
TRIGGER = {8: (32, 24, 16), 16: (48, 32, 24, 16), 32: (48, 32, 24, 16)} if FULL else {8: (16,)}
LEAST_EBOPS = 10_000
SHOWN = 6  # points below the best network
FAMILIES = {"trigger": "C1", "jedi-linear": "C0", "tiny": "C2", "tiny-pruned": "C3", "tiny-one-bit": "C4"}
QUANTIZE = ("--epochs", EPOCHS, "--batch-size", 1024)
FRONT = (("front", ("--ebops", LEAST_EBOPS, "--front", STEPS)),)


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
    for constituents, widths in sorted(TRIGGER.items(), reverse=True):
        found += [_trained("jedi-linear", width, constituents, "jedi-linear") for width in JEDI_LINEAR]
        found += [_trained("trigger", width, constituents, f"trigger-{constituents}") for width in widths]
    return [*found, *_tiny()] if FULL else found


def _trained(family: str, width: int, constituents: int, preset: str) -> Entry:
    name = f"{family}-{width}"

    def train(path: Path) -> Path:
        out = FOLDER / f"{name}-{constituents}-float.safetensors"
        shape = ("--preset", preset, "--embed-dim", width, "--constituents", constituents)
        make(out, "jetformer_model", "train", path, *shape, *TRAIN)
        return out

    return Entry(name, constituents, train, FRONT)


def _tiny() -> Iterator[Entry]:
    """The first network of pruned.py and what becomes of it."""

    def one_bit(path: Path) -> Path:
        out = FOLDER / "tiny-one-bit.safetensors"
        make(out, "jetformer_compress", "binarize", trained_and_pruned(path, 0, 0)[0], path)
        return out

    def learned(ebops: int, *options: object) -> tuple[tuple[str, tuple[object, ...]], ...]:
        return ((f"e{ebops // 1000}", ("--ebops", ebops, "--activation-bits", 6, *options)),)

    longer = ("--epochs", 2 * EPOCHS)
    yield Entry("tiny", 8, lambda path: trained_and_pruned(path, 0, 0)[0], learned(200_000, *longer))
    yield Entry("tiny-pruned", 8, lambda path: trained_and_pruned(path, 0, 0)[1], learned(100_000, *longer))
    yield Entry("tiny-one-bit", 8, one_bit, learned(250_000, "--activation-bits", 7))


def quantised(path: Path, entry: Entry) -> list[Made]:
    """Train and quantise one network."""
    before = entry.make(path)
    found = []
    for way, options in entry.ways:
        after = FOLDER / f"{entry.name}-{entry.constituents}-{way}.safetensors"
        states = [after.with_stem(f"{after.stem}-{n}") for n in range(1, STEPS + 1)]
        states = states if "--front" in options else [after]
        make(after, "jetformer_compress", "quantize", before, path, *QUANTIZE, *options, last=states[-1])
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
    return {
        "fixed_point": rows,
        "fixed_point_conditions": conditions(path, FOLDER.glob("*-float.safetensors"))
        | {"epochs": EPOCHS, "seeds": 1},
    }


def draw(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Accuracy against estimated LUT, a panel for each number of constituents; lines join what nothing of a family beats."""
    sizes = sorted({found["constituents"] for found in rows})
    with plotting.style():
        figure = plotting.new_figure(9 * len(sizes), 8)
        for constituents, axes in zip(sizes, figure.subplots(1, len(sizes), squeeze=False)[0], strict=True):
            for family, colour in FAMILIES.items():
                its = [r for r in rows if r["constituents"] == constituents and _family(r) == family]
                its.sort(key=lambda r: r["luts"])
                best = [r for n, r in enumerate(its) if all(_accuracy(r) > _accuracy(o) for o in its[:n])]
                luts, accuracies = [r["luts"] for r in its], [_accuracy(r) for r in its]
                errors = [100 * r["error"] for r in its]
                axes.errorbar(
                    luts, accuracies, errors, fmt="o", ms=6, color=colour, label=family if its else None
                )
                axes.plot([r["luts"] for r in best], [_accuracy(r) for r in best], color=colour)
            top = max(_accuracy(r) for r in rows if r["constituents"] == constituents)
            axes.set(xscale="log", xlabel="LUT (estimate)", ylabel="Test accuracy (%)")
            axes.set(xlim=(10_000, 1_500_000), ylim=(top - SHOWN, top + 0.5))
            axes.legend(title=f"{constituents} constituents", loc="lower right")
        figure.savefig(path, dpi=60)


def _family(row: dict[str, Any]) -> str:
    return str(row["network"]).rsplit("-", 1)[0] if row["network"] not in FAMILIES else str(row["network"])


def _accuracy(row: dict[str, Any]) -> float:
    return float(100 * row["accuracy_fixed"])
