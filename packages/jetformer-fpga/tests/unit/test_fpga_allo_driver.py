"""What drives Allo, against a stand-in that takes the same calls: faults become one sentence, stages become records."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from jetformer_fpga import cli, csynth, state, tools
from jetformer_fpga.allo import driver
from jetformer_fpga.allo.examples import examples
from jetformer_fpga.allo.jets import asked
from jetformer_fpga.errors import FpgaError, ProjectError, ToolError
from jetformer_fpga.sketch import Sketch
from jetformer_fpga.testing import NETWORKS

FAKES = Path(__file__).parent / "fakes"


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> state.State:
    """Few kernels, with features and a mask."""
    sketch = Sketch(seed=1, constituents=4)
    NETWORKS["maximum_pooling"](sketch)
    return state.read(sketch.write(tmp_path_factory.mktemp("network") / "s.safetensors"))


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A Python whose `import allo` finds the stand-in."""
    paths = [str(FAKES), *(path for path in sys.path if path)]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    monkeypatch.setenv(driver.PYTHON, sys.executable)
    monkeypatch.delenv("FAKE_ALLO", raising=False)
    monkeypatch.delenv("JETFORMER_AP_TYPES", raising=False)
    return monkeypatch


@pytest.fixture
def compiler(fake: pytest.MonkeyPatch) -> None:
    try:
        tools.compiler()
    except ToolError as error:
        pytest.skip(str(error))


def test_stages_of_a_good_program(network: state.State, tmp_path: Path, compiler: None) -> None:
    stages = driver.validate(network, tmp_path / "out", "hls", asked(network, 25))
    assert [(s.stage, s.jets, s.mismatches, s.max_error, s.passed) for s in stages] == [
        ("llvm", 25, 0, 0, True),
        ("hls", 25, 0, 0, True),
    ]
    assert set(stages[1].pragmas) == {"pipeline", "dataflow", "array_partition"}
    written = json.loads((tmp_path / "out" / "allo.json").read_text())
    assert [s["passed"] for s in written["stages"]] == [True, True]


def test_headers_that_are_not_there(network: state.State, tmp_path: Path, fake: pytest.MonkeyPatch) -> None:
    """The C++ is kept."""
    fake.setenv("JETFORMER_AP_TYPES", str(tmp_path))
    with pytest.raises(ToolError, match=r"JETFORMER_AP_TYPES names .*, where no ap_int.h is"):
        driver.validate(network, tmp_path / "out", "hls", asked(network, 3))
    assert "#pragma HLS dataflow" in (tmp_path / "out" / "kernel.cpp").read_text()


@pytest.mark.parametrize(
    ("fault", "words"),
    (
        ("exit", r"stage 'llvm' failed \(exit code 1\): TypeError: int16 and int8 do not match"),
        ("abort", r"stage 'llvm' failed \(stopped by SIGABRT\)"),
    ),
)
def test_ends_of_allo_are_a_sentence(
    fault: str, words: str, network: state.State, tmp_path: Path, fake: pytest.MonkeyPatch
) -> None:
    fake.setenv("FAKE_ALLO", fault)
    with pytest.raises(ToolError, match=words) as caught:
        driver.validate(network, tmp_path / "out", "llvm", asked(network, 3))
    assert "\n" not in str(caught.value)


def test_a_wrong_answer_is_counted(network: state.State, tmp_path: Path, fake: pytest.MonkeyPatch) -> None:
    fake.setenv("FAKE_ALLO", "wrong")
    [stage] = driver.validate(network, tmp_path / "out", "llvm", asked(network, 3))
    assert (stage.mismatches, stage.max_error, stage.passed) == (3, 1, False)


def test_missing_pragmas_fail(
    network: state.State, tmp_path: Path, compiler: None, fake: pytest.MonkeyPatch
) -> None:
    fake.setenv("FAKE_ALLO", "bare")
    stages = driver.validate(network, tmp_path / "out", "hls", asked(network, 3))
    assert stages[1].missing == ["dataflow", "pipeline", "array_partition"]
    assert not stages[1].passed


def test_synthesis_is_read_into_the_report_of_the_circuit(
    network: state.State, tmp_path: Path, compiler: None, fake: pytest.MonkeyPatch, csynth_report: str
) -> None:
    fake.setenv("FAKE_REPORT", csynth_report)
    fake.setattr("shutil.which", lambda name: f"/bin/{name}")
    stages = driver.validate(network, tmp_path / "out", "csyn", asked(network, 3))
    found = json.loads((tmp_path / "out" / "allo.json").read_text())
    assert [s.stage for s in stages] == ["llvm", "hls", "csyn"]
    assert (found["latency_cycles"], found["latency_ns"], found["initiation_interval"]) == (93, 465.0, 18)
    assert found["resources"]["share"] == pytest.approx(
        {"lut": 0.001, "ff": 100 / 3_456_000, "dsp": 1.0, "bram": 4 / 5_376}
    )
    assert "Vitis HLS 2023.2" in found["resources"]["resource_source"]
    report = (tmp_path / "out" / "csyn.prj" / csynth.REPORT).read_text()
    assert "set_part {xcvu13p-flga2577-2-e}" in report


def test_no_report(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="no report of Vitis HLS"):
        csynth.parsed(tmp_path, "xcvu13p")


def test_vitis_is_asked_for(network: state.State, tmp_path: Path, fake: pytest.MonkeyPatch) -> None:
    fake.setattr("shutil.which", lambda name: None)
    with pytest.raises(ToolError, match="put vitis_hls on PATH"):
        driver.validate(network, tmp_path / "out", "csyn", asked(network, 3))
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_something_else_is_kept(
    network: state.State, tmp_path: Path, fake: pytest.MonkeyPatch
) -> None:
    (tmp_path / "thesis.tex").write_text("three years of work")
    with pytest.raises(ProjectError, match="not an Allo project"):
        driver.validate(network, tmp_path, "llvm", asked(network, 3))
    assert (tmp_path / "thesis.tex").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    (
        (("--backend", "allo"), "Allo is not to be had from"),
        *((("--backend", "allo", "--mode", mode), "Allo is not to be had from") for mode in driver.MODES),
        (("--backend", "allo", "--mode", "fast"), "Allo has no mode 'fast'"),
        (("--backend", "vhdl"), "backend 'vhdl' is not known"),
        (("--backend", "allo", "--jets", "0"), "must be 1 or more"),
    ),
)
def test_one_sentence(
    arguments: tuple[str, ...],
    words: str,
    small_state: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lonely = tmp_path / "python"
    lonely.write_text("#!/bin/sh\necho \"ModuleNotFoundError: No module named 'allo'\" >&2\nexit 1\n")
    lonely.chmod(0o755)
    monkeypatch.setenv(driver.PYTHON, str(lonely))
    out = tmp_path / "out"
    monkeypatch.setattr(
        sys, "argv", ["jetformer-fpga", "synth", str(small_state), "--out", str(out), *arguments]
    )
    with pytest.raises(SystemExit) as caught:
        cli.main()
    error = [line for line in capsys.readouterr().err.splitlines() if line.startswith("jetformer-fpga: ")]
    assert (caught.value.code, len(error), words in error[0]) == (1, 1, True)
    assert not out.exists()


def test_a_python_that_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(driver.PYTHON, str(tmp_path / "none"))
    with pytest.raises(ToolError, match="can't be run"):
        driver.interpreter()


def test_fewer_jets_than_corners(network: state.State) -> None:
    assert len(asked(network, 2)) == 2
    with pytest.raises(FpgaError, match="1 or more"):
        asked(network, 0)


@pytest.mark.allo
@pytest.mark.parametrize("name", ("tiny", "pruned tiny", "1-bit tiny", "mlp", "trigger"))
def test_a_real_allo(name: str, tmp_path: Path) -> None:
    try:
        driver.interpreter()
    except ToolError as error:
        pytest.skip(str(error))
    read = state.read(examples(tmp_path)[name])
    stages = driver.validate(read, tmp_path / "out", "hls", asked(read, 1000))
    assert [stage.mismatches for stage in stages] == [0, 0]
    assert [stage.jets for stage in stages] == [1000, 1000]
    assert stages[-1].missing == []
