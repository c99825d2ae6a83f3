"""The commands: what they print, and one sentence for each failure."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from typer.testing import CliRunner

from jetformer_data import schema
from jetformer_data.cli import app
from jetformer_data.distributions import distributions
from jetformer_data.testing import example_jets


@pytest.fixture
def file(tmp_path: Path) -> Path:
    schema.write(tmp_path / "jets.h5", example_jets(101, seed=1, empty=1))
    return tmp_path / "jets.h5"


def run(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    return result.exit_code, result.stdout, result.stderr


def test_check_accepts(file: Path) -> None:
    code, out, _ = run("check", file)
    assert code == 0
    assert "follows the array schema 1.1" in out


def test_inspect_as_json(file: Path) -> None:
    code, out, _ = run("inspect", file, "--json")
    summary, jets = json.loads(out), schema.read(file)
    assert code == 0
    assert summary["jets"] == 101
    assert summary["constituents"] == len(jets.constituents)
    counts = jets.multiplicity[jets.labels == 2]
    assert summary["classes"]["W"]["mean"] == pytest.approx(counts.mean())
    assert summary["features"]["pt"]["most"] == pytest.approx(float(jets.column("pt").max()))
    assert summary["features"]["phirel"]["unit"] == "rad"


def test_inspect_as_tables(file: Path) -> None:
    code, out, _ = run("inspect", file)
    assert code == 0
    for word in ("jets.h5: 101 jets", "class", "etarel", "jet_mass", "seed"):
        assert word in out


def test_plot_writes_pictures(file: Path, tmp_path: Path) -> None:
    pytest.importorskip("mplhep", reason="needs the extra 'plot'")
    code, out, _ = run("plot", file, "--out", tmp_path / "plots", "--json")
    written = [Path(name) for name in json.loads(out)]
    assert code == 0
    assert {p.name for p in written} == {"jet_mass.png", "jet_pt.png", "multiplicity.png", "jet_images.png"}
    assert all(p.read_bytes().startswith(b"\x89PNG") for p in written)


def test_distributions_count_every_jet_and_all_momentum(file: Path) -> None:
    jets, shown = schema.read(file), distributions(file, half_width=2.0)
    assert shown.jets.tolist() == np.bincount(jets.labels).tolist()
    assert shown.histograms["multiplicity"].counts.sum() == 101
    pt = np.bincount(np.repeat(jets.labels, jets.multiplicity), jets.column("pt"))
    np.testing.assert_allclose(shown.images.sum(axis=(1, 2)), pt / shown.jets, rtol=1e-5)
    assert shown.images[3].argmax() // 50 in range(15, 35)


@pytest.mark.parametrize("command", ("inspect", "check", "plot"))
@pytest.mark.parametrize("fault", ("absent", "text", "truncated", "future", "label"))
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
                handle["labels"][7] = 99
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
