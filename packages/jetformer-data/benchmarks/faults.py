"""Damaged files of every layout, and what the readers make of them: python benchmarks/faults.py

A third of the files hold what cannot be (NaN, labels that are not one-hot, offsets that fall, ...), two thirds are intact
files after an accident to their bytes. Each is read by a process with limited memory and time.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

from jetformer_data.testing.source_examples import WRITERS
from jetformer_data.testing.source_faults import judge

SEED = 1


def measure(files: int = 500) -> dict[str, object]:
    """Figures for build/bench/data.json: damaged files of each layout, and how many of them were not dealt with."""
    begin = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        verdicts = {kind: judge(kind, Path(folder), SEED, files) for kind in WRITERS}
    faults = [fault for verdict in verdicts.values() for fault in verdict.faults]
    for fault in faults[:50]:
        print(fault, file=sys.stderr)
    return {
        "mutated_files": sum(verdict.files for verdict in verdicts.values()),
        "mutated_files_per_layout": files,
        "mutated_layouts": list(verdicts),
        "mutated_crashes": len(faults),
        "mutated_outcomes": {kind: dict(verdict.outcomes) for kind, verdict in verdicts.items()},
        "mutated_seed": SEED,
        "mutated_seconds": round(time.perf_counter() - begin, 1),
    }


if __name__ == "__main__":
    print(json.dumps(measure(*(int(number) for number in sys.argv[1:2])), indent=1))
