"""The C++ for HLS: the same integers as the reference, compiled by an ordinary compiler; Vitis HLS is a stand-in."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from jetformer_fpga import csynth, hls, report, verification
from jetformer_fpga.errors import ProjectError, ToolError

FAKE = Path(__file__).parent / "fakes" / "vitis"


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without PyTorch, which takes seconds."""
    monkeypatch.setattr(verification, "_pytorch", lambda *_: (None, np.zeros(0, np.int64), "not asked"))


@pytest.fixture
def vitis(monkeypatch: pytest.MonkeyPatch, csynth_report: str) -> pytest.MonkeyPatch:
    """Vitis HLS is the stand-in, run by this Python."""
    monkeypatch.setenv(
        "PATH", os.pathsep.join([str(FAKE), str(Path(sys.executable).parent), os.environ["PATH"]])
    )
    monkeypatch.setenv("FAKE_REPORT", csynth_report)
    return monkeypatch


@pytest.mark.usefixtures("simulator", "alone")
def test_it_gives_the_same_integers(copy: Path, jets: Path) -> None:
    result = verification.verify(copy, jets, split="all", jets=60, hls_jets=40)
    assert result.passed
    assert [leg.compared for leg in result.legs if leg.name == "C++ for HLS"] == [50]


@pytest.mark.usefixtures("simulator", "alone")
def test_a_planted_fault_is_seen(copy: Path, jets: Path) -> None:
    """The first constituent's mask is taken for the second's."""
    place = copy / "hls" / "jetformer.cpp"
    code = place.read_text()
    assert "model_inp[9];" in code
    place.write_text(code.replace("model_inp[9];", "model_inp[10];"))
    result = verification.verify(copy, jets, split="all", jets=20, hls_jets=20)
    assert [leg.mismatches > 0 for leg in result.legs] == [False, False, True]
    assert not result.passed
    assert result.changed_files == ["hls/jetformer.cpp"]


def test_a_program_that_stops_is_a_sentence(tmp_path: Path, simulator: None) -> None:
    (tmp_path / "jetformer.h").write_text(
        """#include <cstdlib>
struct number { double value; number(double v = 0) : value(v) {} double to_double() const { return value; } };
typedef number input_t, answer_t;
void jetformer(input_t inputs[2], answer_t answers[1]);
"""
    )
    (tmp_path / "jetformer.cpp").write_text(
        """#include "jetformer.h"
void jetformer(input_t inputs[2], answer_t answers[1]) {
    if (inputs[1].value > 2) std::exit(3);
    answers[0] = inputs[0].value - inputs[1].value;
}
"""
    )
    assert hls.run(tmp_path, np.array([[3.0, 1.0], [5.0, 2.0]]), 1).tolist() == [[2.0], [3.0]]
    with pytest.raises(ToolError, match=r"stopped before the last jet \(exit code 3\)"):
        hls.run(tmp_path, np.array([[3.0, 1.0], [5.0, 7.0]]), 1)


@pytest.mark.usefixtures("vitis")
def test_synthesis_is_read_into_the_report(copy: Path, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    assert report.write(copy, page)["hls"] is None
    assert "not synthesised" in page.read_text()
    found = csynth.synthesise(copy)
    assert (found["latency_cycles"], found["initiation_interval"]) == (93, 18)
    assert found["resources"]["lut"] == 1728
    assert json.loads((copy / "hls.json").read_text()) == found
    assert "xcvu13p-flga2577-2-e" in (copy / "hls" / csynth.REPORT).read_text()
    assert report.write(copy, page)["hls"] == found
    text = page.read_text()
    assert "93 cycles, 465 ns" in text
    assert "1,728 (0.1% of xcvu13p)" in text


def test_the_same_is_synthesised_once(copy: Path, vitis: pytest.MonkeyPatch) -> None:
    first = csynth.synthesise(copy)
    vitis.delenv("FAKE_REPORT")
    assert csynth.synthesise(copy) == first
    with pytest.raises(ToolError, match=r"vitis_hls failed .*no licence to be had; its log is .*csynth\.log"):
        csynth.synthesise(copy, again=True)


def test_what_is_absent_is_told_in_a_sentence(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(copy))
    with pytest.raises(ToolError, match="no vitis_hls on PATH"):
        csynth.synthesise(copy)
    (copy / "hls" / "jetformer.h").unlink()
    with pytest.raises(ProjectError, match=r"jetformer\.h' is missing"):
        csynth.synthesise(copy)
