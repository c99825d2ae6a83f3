import json
import subprocess
import sys
from pathlib import Path

import pytest

from jetformer_model.state import load


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "jetformer_compress", *(str(argument) for argument in arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_prune_then_quantize(trained_file: Path, jets_file: Path, tmp_path: Path) -> None:
    pruned, fixed = tmp_path / "pruned.safetensors", tmp_path / "fixed.safetensors"
    result = run("prune", trained_file, jets_file, "--out", pruned, "--steps", 2, "--epochs", 1)
    assert result.returncode == 0, result.stderr
    assert "26,168 -> 13,784" in result.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pruned.csv", "pruned.safetensors"]
    result = run("quantize", pruned, jets_file, "--out", fixed, "--epochs", 1, "--json")
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["flops"] == 13784
    state = load(fixed)
    assert state.kind == "fixed_point"
    assert state.provenance["quantize"]["settings"]["widths"]["weights"] == 6
    assert state.provenance["prune"]["settings"]["steps"] == 2


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    (
        (("--ratio", "1.5"), "between 0 and 1, got 1.5"),
        (("--steps", "0"), "at least 1, got 0"),
    ),
)
def test_bad_input_is_one_sentence(
    arguments: tuple[str, ...], sentence: str, trained_file: Path, jets_file: Path, tmp_path: Path
) -> None:
    result = run("prune", trained_file, jets_file, "--out", tmp_path / "x.safetensors", *arguments)
    assert result.returncode == 1
    assert result.stderr.startswith("jetformer-compress: ")
    assert sentence in result.stderr
    assert not list(tmp_path.iterdir())
