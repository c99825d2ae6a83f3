"""Test accuracy of JetFormer and of small taggers on generated jets of HLS4ML style, trained alike.

    python ci/bench.py model accuracy

Jets are those of the file that JETFORMER_BENCH_TAGGING_JETS names, or 20,000 generated ones. On a GPU
8, 16 and 32 constituents and three seeds; on a CPU 8 constituents and two seeds. What is trained is kept in
build/bench/accuracy, and an interrupted run goes on from there.
"""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import torch

from jetformer_data.generation import generate
from jetformer_data.schema import Reader
from jetformer_model.comparison import Comparison, Conditions, Entry
from jetformer_model.comparison_table import Row, make_rows
from jetformer_model.optimisation import Recipe

TAGGERS = ("jetformer", "mlp", "deep-sets", "interaction-network")
FEATURES = ("pt", "etarel", "phirel")
RECIPE = Recipe(epochs=25, batch_size=512)
JETS, SEED = 20_000, 11
FOLDER = Path("build/bench")


def margins(rows: list[Row]) -> list[dict[str, Any]]:
    """By how many points JetFormer is above each other tagger, errors of both in quadrature."""
    ours = {row.constituents: row.numbers["accuracy"] for row in rows if row.tagger == "jetformer"}
    found = []
    for row in rows:
        best, other = ours[row.constituents], row.numbers["accuracy"]
        if row.tagger != "jetformer" and best.value and other.value and best.error and other.error:
            margin = {"difference": best.value - other.value, "error": math.hypot(best.error, other.error)}
            found.append({"model": row.tagger, "constituents": row.constituents} | margin)
    return found


def measure() -> dict[str, Any]:
    on_gpu = torch.cuda.is_available()
    path = Path(os.environ.get("JETFORMER_BENCH_TAGGING_JETS", FOLDER / "tagging_jets.h5"))
    if not path.exists():
        generate(path, jets=JETS, seed=SEED, style="hls4ml", features="hls4ml-3")
    conditions = Conditions((path,), FEATURES, 2.0, RECIPE, "cuda" if on_gpu else "cpu")
    comparison = Comparison(conditions, FOLDER / "accuracy")
    sizes, seeds = ((8, 16, 32), 3) if on_gpu else ((8,), 2)
    entries = [Entry(p, tagger, seed) for p in sizes for tagger in TAGGERS for seed in range(seeds)]
    results = {}
    for entry, result in comparison.run(entries, jobs=8 if on_gpu else 1):
        results[entry] = result
        print(f"  {entry.name}: {100 * result['accuracy']:.2f} %", flush=True)
    rows = make_rows(results, {})
    with Reader(path) as reader:
        jets = len(reader)
    return {
        "accuracy": [
            {
                "model": row.tagger,
                "constituents": row.constituents,
                "accuracy": row.numbers["accuracy"].value,
                "error": row.numbers["accuracy"].error,
                "parameters": row.parameters,
                "flops": row.flops,
            }
            for row in rows
        ],
        "accuracy_margins": margins(rows),
        "accuracy_conditions": conditions.as_dict() | {"jets": jets, "seeds": seeds, "style": "hls4ml"},
    }
