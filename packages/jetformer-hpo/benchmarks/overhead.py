"""What a search costs besides training: trials whose work is nothing, one at a time, in an SQLite file.

    python ci/bench.py hpo overhead

Median of three searches of 200 trials each, from the start of the second trial to the end of the last, as the study has
them; the first waits for PyTorch to be loaded once.
"""

from __future__ import annotations

import statistics
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from jetformer_hpo.study import load_study, open_storage
from jetformer_hpo.testing_searches import many

TRIALS, RUNS = 200, 3


def seconds_a_trial() -> float:
    with TemporaryDirectory() as name:
        storage = f"{name}/study.sqlite3"
        many(storage, Path(name), TRIALS + 1, searches=1)
        with open_storage(storage) as database:
            trials = load_study(database, storage).trials
    begin, end = trials[1].datetime_start, trials[-1].datetime_complete
    assert begin
    assert end
    return (end - begin).total_seconds() / TRIALS


def measure() -> dict[str, Any]:
    runs = [1e3 * seconds_a_trial() for _ in range(RUNS)]
    return {"overhead_ms_per_trial": statistics.median(runs), "overhead_runs_ms": runs}
