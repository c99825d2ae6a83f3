"""A second simulator and the stream wrapper within `verify`, and verdicts that are kept."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from jetformer_fpga import icarus, project, tools, verification
from jetformer_fpga.errors import ToolError


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without PyTorch, which takes seconds."""
    monkeypatch.setattr(verification, "_pytorch", lambda *_: (None, np.zeros(0, np.int64), "not asked"))


@pytest.fixture
def copy(firmware: project.Project, tmp_path: Path) -> Path:
    shutil.copytree(firmware.folder, tmp_path / "fw", ignore=shutil.ignore_patterns("simulation"))
    return tmp_path / "fw"


@pytest.mark.usefixtures("simulator", "alone")
def test_icarus_and_the_stream_agree(copy: Path, jets: Path) -> None:
    if tools.icarus() is None:
        pytest.skip("Icarus Verilog (iverilog, vvp) is not on PATH")
    result = verification.verify(copy, jets, split="all", icarus_jets=40, stream=True)
    assert result.passed
    assert {leg.name: leg.compared for leg in result.legs} == {
        "interpreter": 310, "Verilog": 310, "Icarus Verilog": 50, "AXI4-Stream": 620
    }  # fmt: skip
    assert result.icarus.startswith("Icarus Verilog ")


@pytest.mark.usefixtures("simulator", "alone")
def test_icarus_sees_a_fault_and_the_stream_one_of_its_own(
    copy: Path, jets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    axis = copy / "verilog" / "jetformer_axis.v"
    axis.write_text(axis.read_text().replace("s_axis_tdata[", "~s_axis_tdata[", 1))
    found = verification.verify(copy, jets, split="all", jets=60, stream=True)
    assert [leg.mismatches > 0 for leg in found.legs] == [False, False, True]
    assert not found.passed


@pytest.mark.usefixtures("simulator", "alone")
def test_without_icarus_the_result_says_so(copy: Path, jets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "icarus", lambda: None)
    result = verification.verify(copy, jets, jets=5, icarus_jets=5)
    assert result.passed
    assert result.icarus.startswith("not compared: Icarus Verilog is not on PATH")
    with pytest.raises(ToolError, match="apt install iverilog"):
        icarus.compile_circuit(copy, project.load(copy).ports, 1, copy)


@pytest.mark.usefixtures("simulator", "alone")
def test_what_a_killed_compilation_left_is_cleared_away(copy: Path, jets: Path) -> None:
    done = subprocess.Popen(["true"])
    done.wait()
    left = copy / "simulation" / f"build-{done.pid}"
    left.mkdir(parents=True)
    verification.verify(copy, jets, split="all", jets=5)
    assert sorted(path.name for path in (copy / "simulation").iterdir()) == ["fingerprint", "testbench"]


@pytest.mark.usefixtures("simulator", "alone")
def test_a_verdict_is_kept_until_something_changes(
    copy: Path, jets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = verification.verify(copy, jets, split="all", jets=20)
    with monkeypatch.context() as patch:
        patch.setattr(verification, "interpret", lambda *_: pytest.fail("compared again"))
        assert verification.verify(copy, jets, split="all", jets=20) == first
    assert verification.verify(copy, jets, split="all", jets=21).verified_jets == 21
    text = (copy / "verilog" / "jetformer.v").read_text()
    (copy / "verilog" / "jetformer.v").write_text(text.replace("rst ?", "1'b0 ?"))
    assert not verification.verify(copy, jets, split="all", jets=21).passed
    assert not verification.verify(copy, jets, split="all", jets=21).passed
