"""Hypervolume of the samplers on the measured table of the 96 points of the published space.

    python ci/bench.py hpo samplers

A hundred seeds each; of BoTorch, whose proposals take seconds, as many as JETFORMER_BENCH_BOTORCH_SEEDS says (none if
unset).
"""

from __future__ import annotations

import os
import time
from typing import Any

from jetformer_hpo.sampler_comparison import Problem, compare
from jetformer_hpo.tabulated import load_table

SEEDS, TRIALS, AT = 100, 80, (40, 60, 80)


def measure() -> dict[str, Any]:
    table = load_table("paper_8x3")
    problem = Problem.of(table, ("accuracy", "flops"))
    seeds = dict.fromkeys(("nsga2", "nsga3", "tpe", "random"), SEEDS)
    begin = time.monotonic()
    found = compare(table, problem, seeds, TRIALS)
    seconds = time.monotonic() - begin
    hypervolume = found.summary(AT)
    if few := int(os.environ.get("JETFORMER_BENCH_BOTORCH_SEEDS", "0")):
        hypervolume |= compare(table, problem, {"botorch": few}, TRIALS).summary(AT)
    return {
        "hypervolume": hypervolume,
        "hypervolume_whole_table": found.highest,
        "hypervolume_normalisation": found.normalisation(),
        "hypervolume_seconds": seconds,
    }
