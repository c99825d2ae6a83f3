"""The commands: what they print, and one sentence for each failure."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import h5py
import pytest
from typer.testing import CliRunner

from jetformer_data import schema
from jetformer_data.cli import app
from jetformer_data.testing import example_jets


@pytest.fixture
def file(tmp_path: Path) -> Path:
    schema.write(tmp_path / "jets.h5", example_jets(101, seed=1, empty=1))
    return tmp_path / "jets.h5"


def run(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    return result.exit_code, result.stdout, result.stderr


@pytest.mark.parametrize("command", ("inspect", "validate", "plot"))
@pytest.mark.parametrize("fault", ("absent", "text", "truncated", "future", "offsets"))
def test_bad_files_are_one_sentence(file: Path, tmp_path: Path, command: str, fault: str) -> None:
    if command == "plot":
        pytest.importorskip("mplhep", reason="needs the extra 'plot'")
    content = file.read_bytes()
    if fault == "absent":
        file.unlink()
    elif fault == "text":
        file.write_text("pt,eta\n1,2\n")
    elif fault == "truncated":
        file.write_bytes(content[:5000])
    else:
        with h5py.File(file, "r+") as handle:
            if fault == "future":
                handle.attrs["schema_version"] = "3.1"
            else:
                handle["offsets"][-1] = 99
    code, out, err = run(command, file)
    assert code == 1
    assert out == ""
    assert err.startswith(str(file))
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("module", "arguments"),
    (
        ("pythia8mc", ("generate", "OUT", "--jets", 5)),
        ("fastjet", ("generate", "OUT", "--jets", 5)),
        ("matplotlib", ("plot", "FILE")),
        ("mplhep", ("plot", "FILE")),
    ),
)
def test_missing_extras_are_one_sentence(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str, arguments: tuple
) -> None:
    for name in ("awkward", "fastjet", "pythia8mc", "matplotlib", "mplhep"):
        if name == module:
            monkeypatch.setitem(sys.modules, name, None)
        else:
            pytest.importorskip(name)
    places = {"OUT": tmp_path / "new.h5", "FILE": file}
    code, _, err = run(*(places.get(a, a) for a in arguments))
    assert code == 1
    assert err.count("\n") == 1
    assert module in err
    assert f"jetformer-data[{arguments[0]}]" in err
    assert not (tmp_path / "new.h5.parts").exists()


def test_neither_torch_nor_extras_are_imported_by_the_package() -> None:
    code = (
        "import sys, jetformer_data, jetformer_data.cli, jetformer_data.testing, jetformer_data.generation\n"
        "wanted = {'torch', 'pythia8mc', 'fastjet', 'awkward', 'matplotlib', 'mplhep', 'pytest'}\n"
        "sys.exit(', '.join(wanted & set(sys.modules)) or 0)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
