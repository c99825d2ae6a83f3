"""`predict` and `export` as a user runs them."""

import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import uproot

from jetformer_data import schema
from jetformer_data.testing import example_jets
from jetformer_model.state import save
from jetformer_model.testing import example_state


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "jetformer_model", *(str(argument) for argument in arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("predict")
    save(folder / "s.safetensors", example_state())
    schema.write(folder / "a.h5", example_jets(jets=40, seed=1))
    schema.write(folder / "b.h5", example_jets(jets=20, seed=2, empty=3))
    return folder


def test_a_graph_gives_the_scores_of_its_state(folder: Path) -> None:
    exported = run("export", folder / "s.safetensors", "--out", folder / "s.onnx", "--json")
    assert (exported.returncode, exported.stderr) == (0, "")
    for model, out in (("s.safetensors", "torch.root"), ("s.onnx", "onnx.h5")):
        result = run(
            "predict", folder / "a.h5", folder / "b.h5", "--model", folder / model, "--out", folder / out
        )
        assert (result.returncode, result.stderr) == (0, "")
    with uproot.open(folder / "torch.root") as one, h5py.File(folder / "onnx.h5") as other:
        found = one["scores"].arrays(library="np")
        assert found["file_index"].tolist() == [0] * 40 + [1] * 20
        for name, values in found.items():
            np.testing.assert_allclose(values, other["scores"][name][:], rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    (
        (("absent.h5", "--model", "s.safetensors", "--out", "x.h5"), "no such file"),
        (("a.h5", "--model", "absent.safetensors", "--out", "x.h5"), "no such file"),
        (("a.h5", "--model", "s.safetensors", "--out", "x.csv"), "ends in .root, .h5, .parquet"),
        (("a.h5", "--model", "s.safetensors", "--out", "x.h5", "--batch", "0"), "batch: expected at least 1"),
        (("a.h5", "--model", "s.safetensors", "--out", "x.h5", "--split", "half"), "split 'half'"),
        (("a.h5", "--model", "s.safetensors", "--out", "x.h5", "--runtime", "tea"), "runtime 'tea'"),
        (("a.h5", "--model", "s.safetensors", "--out", "x.h5", "--device", "abacus"), "device 'abacus'"),
        (("in.safetensors", "--model", "s.safetensors", "--out", "x.h5"), "go to a .safetensors file"),
        (("in.safetensors", "--model", "s.safetensors", "--out", "x.safetensors"), "`inputs` and `mask`"),
    ),
)
def test_bad_input_is_one_sentence(folder: Path, arguments: tuple[str, ...], sentence: str) -> None:
    files = (".h5", ".csv", ".safetensors")
    result = run("predict", *(folder / word if word.endswith(files) else word for word in arguments))
    assert result.returncode == 1
    assert result.stderr.startswith("jetformer-model: ")
    assert sentence in result.stderr
    assert result.stderr.count("\n") == 1
    assert not [*folder.glob("x.*"), *folder.glob("*.tmp")]
