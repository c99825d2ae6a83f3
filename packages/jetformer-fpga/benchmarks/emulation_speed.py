"""Jets a second that `emulate` scores, from file to file: a network of JetFormer-tiny's shape, all cores.

    python ci/bench.py fpga emulation_speed

The state and the jets are those of flow.py; the best of three passes. The kernel is compiled before. Seconds of CPU are
those of all threads together: on a machine that does other work, too, they say what `emulate` costs.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import Any

from flow import network

from jetformer_fpga import emulation

PASSES, COUNT = 3, 100_000


def measure() -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name:
        path, jets = network(Path(name), COUNT)
        scores = Path(name) / "scores.h5"
        emulation.emulate(path, jets, scores)
        start = time.process_time()
        passes = [emulation.emulate(path, jets, scores) for _ in range(PASSES)]
        cpu_seconds = time.process_time() - start
    scored = sum(found.jets for found in passes)
    return {
        "emulate_jets_per_s": round(max(found.jets / found.seconds for found in passes)),
        "emulate_cpu_microseconds_per_jet": round(1e6 * cpu_seconds / scored, 2),
        "emulate_jets": passes[0].jets,
        "emulate_network": path.stem,
        "emulate_engine": passes[0].engine,
        "emulate_cores": os.cpu_count(),
    }
