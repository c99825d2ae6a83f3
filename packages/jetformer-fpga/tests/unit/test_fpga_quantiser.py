"""The tracer's quantiser against Q, whatever the grids: finer, coarser, and coarser than the whole format."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from jetformer_fpga import fusion, network, reference, state, tracer, vectors
from jetformer_fpga.testing import Sketch


@pytest.mark.parametrize("source", ((1, 4, 2), (1, 6, -1), (1, 7, -3), (0, 5, -2)))
@pytest.mark.parametrize("target", ((1, 2, 1), (0, 1, 2), (1, 0, 3), (0, -1, 4), (1, 3, -1), (1, -2, 3)))
def test_quantiser_is_q(source: tuple[int, int, int], target: tuple[int, int, int], tmp_path: Path) -> None:
    sketch = Sketch(seed=1, constituents=1, features=1, classes=1)
    flat = sketch.op("reshape", "flat", sketch.features(source), shape=[1])
    sketch.quantise("logits", flat, target)
    loaded = state.read(sketch.write(tmp_path / "s.safetensors"))
    fmt = loaded.formats["features"]
    codes = np.arange(int(fmt.low), int(fmt.high) + 1)[:, None, None]
    mask = np.ones((len(codes), 1), dtype=bool)
    asked = vectors.Vectors.of_codes(loaded, codes, mask, ("",) * len(codes))
    inputs = np.concatenate([fmt.value(asked.x).reshape(len(codes), 1), mask], axis=1)
    program = tracer.trace(fusion.fuse(network.build(loaded), 0))
    found = np.ldexp(tracer.interpret(program, inputs), loaded.formats["logits"].f)
    np.testing.assert_array_equal(found, reference.logits(loaded, asked.x, asked.mask))
