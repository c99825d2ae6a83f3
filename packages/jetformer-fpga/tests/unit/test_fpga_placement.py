"""The tracer's delays against a routed circuit: more delay units in a stage, a longer period."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from jetformer_fpga import placement, state, tools
from jetformer_fpga.errors import ToolError
from jetformer_fpga.testing import Sketch


@pytest.fixture
def layer(tmp_path: Path) -> state.State:
    """A matrix of 3 x 4 numbers, ReLU, quantiser."""
    sketch = Sketch(seed=5, constituents=1, features=3, classes=4, weight_bits=4)
    flat = sketch.op("reshape", "flat", sketch.features((1, 2, 3)), shape=[3])
    live = sketch.op("relu", "live", sketch.linear("first", flat, 4))
    sketch.quantise("logits", live, (0, 3, 4))
    return state.read(sketch.write(tmp_path / "layer.safetensors"))


def test_longer_stages_need_longer_periods(layer: state.State) -> None:
    if tools.yosys() is None or shutil.which("nextpnr-ice40") is None:
        pytest.skip("Yosys or nextpnr-ice40 is not on PATH")
    short, long = (placement.place(layer, delay) for delay in (1.5, 8.0))
    assert short.stages > long.stages
    assert 1.5 * short.longest_ns < long.longest_ns
    assert 0 < long.logic_cells < 2000


def test_without_the_tools_it_is_a_sentence(layer: state.State, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "yosys", lambda: None)
    with pytest.raises(ToolError, match="apt install yosys nextpnr-ice40"):
        placement.place(layer, 5.0)
