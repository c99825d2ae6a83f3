"""The layers hold, and a bad import planted in a copy of the packages is seen."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The sources of all packages side by side, and the settings."""
    for source in ROOT.glob("packages/*/src/*"):
        shutil.copytree(source, tmp_path / source.name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def lint_imports(folder: Path) -> tuple[int, str]:
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_layers_hold(copy: Path) -> None:
    status, said = lint_imports(copy)
    assert status == 0, said


@pytest.mark.parametrize(
    ("package", "bad_import", "broken"),
    (
        ("jetformer_data", "import jetformer_model", "hpo | compress | fpga above model above data"),
        ("jetformer_model", "import jetformer_compress", "hpo | compress | fpga above model above data"),
        ("jetformer_hpo", "import jetformer_fpga", "hpo | compress | fpga above model above data"),
        ("jetformer_data", "import torch", "data works without torch"),
        ("jetformer_fpga", "import torch.nn", "fpga works without torch"),
        ("jetformer_fpga", "import jetformer_model.flops", "fpga works without torch"),
        ("jetformer_model", "import pickle", "no pickle"),
    ),
)
def test_a_planted_import_is_seen(copy: Path, package: str, bad_import: str, broken: str) -> None:
    (copy / package / "planted.py").write_text(bad_import + "\n", encoding="utf-8")
    status, said = lint_imports(copy)
    assert status != 0, said
    verdicts = [line for line in said.splitlines() if line.startswith(broken)]
    assert any(line.endswith("BROKEN") for line in verdicts), said
    assert f"{package}.planted" in said


def test_torch_reached_through_a_sibling_is_seen(copy: Path) -> None:
    (copy / "jetformer_data" / "planted.py").write_text("import torch\n", encoding="utf-8")
    (copy / "jetformer_fpga" / "innocent.py").write_text("import jetformer_data.planted\n", encoding="utf-8")
    status, said = lint_imports(copy)
    assert status != 0
    assert "jetformer_fpga.innocent -> jetformer_data.planted" in said
