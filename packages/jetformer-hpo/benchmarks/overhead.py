"""What a search costs besides training: trials whose work is nothing, one at a time, in an SQLite file.

    python ci/bench.py hpo overhead

Median of three searches of 200 trials each; the first trial, which waits for PyTorch to be loaded once, is not counted.
"""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from jetformer_hpo import testing
from jetformer_hpo.samplers import make_sampler
from jetformer_hpo.search import Search
from jetformer_hpo.study import make_study, open_storage
from jetformer_hpo.testing_searches import NAMES, SPACE

TRIALS, RUNS = 200, 3


def seconds_a_trial(seed: int) -> float:
    ends: list[float] = []
    with TemporaryDirectory() as name:
        folder = Path(name)
        with open_storage(folder / "study.sqlite3", create=True) as database:
            study = make_study(database, ("maximize", "minimize"), NAMES)
            sampler = make_sampler("nsga2", seed=seed, space=SPACE)
            where = folder / "trials"
            search = Search(database, study, SPACE, NAMES, sampler, testing.cheap, {}, where, TRIALS + 1)
            search.progress = lambda done: ends.append(time.perf_counter())
            search.run()
    return (ends[-1] - ends[1]) / TRIALS  # ends[0]: before the first trial


def measure() -> dict[str, Any]:
    runs = [1e3 * seconds_a_trial(seed) for seed in range(RUNS)]
    return {"overhead_ms_per_trial": statistics.median(runs), "overhead_runs_ms": runs}
