import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from jetformer_model.state import load, save
from jetformer_model.testing import example_batch, example_state


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "jetformer_model", *(str(argument) for argument in arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_train_then_evaluate(jets_file: Path, tmp_path: Path) -> None:
    state = tmp_path / "tiny.safetensors"
    trained = run("train", jets_file, "--out", state, "--epochs", 2, "--batch-size", 64, "--json")
    assert trained.returncode == 0, trained.stderr
    assert (tmp_path / "tiny.csv").read_text().count("\n") == 3
    result = run("evaluate", state, jets_file, "--logits", tmp_path / "logits.safetensors", "--json")
    summary = json.loads(result.stdout)
    scores = load_file(tmp_path / "logits.safetensors")
    assert summary["jets"] == len(scores["logits"]) == len(scores["jet_index"])
    assert summary["accuracy"] == pytest.approx(
        (scores["logits"].argmax(1) == scores["labels"]).double().mean()
    )


def test_predict_gives_the_network_s_logits(tmp_path: Path) -> None:
    state, (x, mask) = example_state(), example_batch(9)
    save(tmp_path / "s.safetensors", state)
    save_file({"inputs": x, "mask": mask}, tmp_path / "in.safetensors")
    result = run(
        "predict",
        tmp_path / "in.safetensors",
        "--model",
        tmp_path / "s.safetensors",
        "--out",
        tmp_path / "out.safetensors",
    )
    assert result.returncode == 0, result.stderr
    logits = load_file(tmp_path / "out.safetensors")["logits"]
    torch.testing.assert_close(logits, state.network(x, mask).double().detach())


def test_flops_of_a_preset() -> None:
    assert json.loads(run("flops", "--json").stdout) == {
        "flops": 26168,
        "parameters": 2437,
        "parameters_published_convention": 3085,
    }


def test_a_missing_folder_is_said_before_the_work(jets_file: Path, tmp_path: Path) -> None:
    result = run("train", jets_file, "--out", tmp_path / "absent" / "tiny.safetensors", "--epochs", 10_000)
    assert result.returncode == 1
    assert "there is no folder" in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    (
        (("evaluate", "absent.safetensors", "absent.h5"), "no such file"),
        (("train", "absent.h5", "--out", "x.safetensors"), "there is no such file"),
        (("train", "absent.h5", "--out", "x.safetensors", "--preset", "huge"), "expected one of tiny"),
        (("train", "absent.h5", "--out", "x.safetensors", "--epochs", "0"), "at least 1"),
    ),
)
def test_bad_input_is_one_sentence(arguments: tuple[str, ...], sentence: str, tmp_path: Path) -> None:
    result = run(*(str(tmp_path / word) if "." in word else word for word in arguments))
    assert result.returncode == 1
    assert result.stderr.startswith("jetformer-model: ")
    assert sentence in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stderr.count("\n") == 1


def test_train_takes_a_preset_and_its_options(jets_file: Path, tmp_path: Path) -> None:
    common = ("train", jets_file, "--epochs", 1, "--preset")
    preset = run(*common, "trigger-8", "--out", tmp_path / "a.safetensors")
    assert preset.returncode == 0, preset.stderr
    assert load(tmp_path / "a.safetensors").constituents == 8
    changed = run(
        *common, "trigger-16", "--attention", "softmax", "--heads", 1, "--out", tmp_path / "b.safetensors"
    )
    assert changed.returncode == 0, changed.stderr
    assert load(tmp_path / "b.safetensors").network.sizes == {"heads": 1, "attention": "softmax"}
    other = run(*common, "tiny", "--attention", "relu", "--out", tmp_path / "c.safetensors")
    assert (other.returncode, other.stderr.strip()) == (
        1,
        "jetformer-model: --attention is no option of tiny",
    )
