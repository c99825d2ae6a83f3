"""Jets a second that `emulate` scores, reading the file included: a network of JetFormer-tiny's shape, all cores.

    python ci/bench.py fpga emulation_speed

The state and the jets are those of flow.py; the best of three passes. The kernel is compiled before.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

from flow import network

from jetformer_fpga import emulation

PASSES, COUNT = 3, 100_000


def measure() -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name:
        path, jets = network(Path(name), COUNT)
        emulation.emulate(path, jets)
        passes = [emulation.emulate(path, jets) for _ in range(PASSES)]
    return {
        "emulate_jets_per_s": round(max(found.jets / found.seconds for found in passes)),
        "emulate_jets": passes[0].jets,
        "emulate_network": path.stem,
        "emulate_engine": passes[0].engine,
        "emulate_cores": os.cpu_count(),
    }
