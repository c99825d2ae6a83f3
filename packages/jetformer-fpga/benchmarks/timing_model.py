"""Stage delays against periods of a routed layer on an iCE40: a check of the tracer's delay units.

    python ci/bench.py fpga timing_model

The layer is two matrices (6 to 8 and 8 to 4 numbers) of random weights with ReLU and quantisers.
"""

from __future__ import annotations

import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from jetformer_fpga import placement, state
from jetformer_fpga.errors import ToolError
from jetformer_fpga.testing import Sketch

DELAYS = (1.5, 3.0, 5.0, 7.0, 9.0, 12.0)
SEED = 5


def measure() -> dict[str, Any]:
    sketch = Sketch(seed=SEED, constituents=2, features=3, classes=4, weight_bits=5)
    flat = sketch.op("reshape", "flat", sketch.features((1, 2, 4)), shape=[6])
    live = sketch.op("relu", "live", sketch.linear("first", flat, 8))
    sketch.quantise("logits", sketch.linear("head", sketch.quantise("hidden", live, (0, 2, 5)), 4), (1, 4, 3))
    with tempfile.TemporaryDirectory() as name:
        loaded = state.read(sketch.write(Path(name) / "layer"))
    try:
        placed = [placement.place(loaded, delay) for delay in DELAYS]
    except ToolError as error:
        return {"skipped": str(error)}
    ratios = [p.longest_ns / p.stage_delay for p in placed]
    return {
        "placed_layer": [asdict(p) for p in placed],
        "placed_ns_per_delay_unit": [min(ratios), max(ratios)],
    }
