"""One trial in its folder."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from jetformer_data import schema
from jetformer_data.testing import example_jets
from jetformer_hpo import trial
from jetformer_hpo.errors import SearchError
from jetformer_model.errors import ModelError
from jetformer_model.state import load
from jetformer_model.taggers.linformer import Linformer

SMALL = {"blocks": 1, "embed_dim": 6, "heads": 2}


@pytest.fixture(scope="module")
def jets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "jets.h5"
    schema.write(path, example_jets(300, seed=7))
    return path


def ask(folder: Path, jets: Path, settings: dict[str, Any], **more: Any) -> Path:
    """A folder with a request."""
    folder.mkdir(exist_ok=True)
    request = {
        "settings": settings,
        "data": [str(jets)],
        "features": ["pt", "etarel", "phirel"],
        "min_pt_gev": 2.0,
        "constituents": 5,
        "norm": "batch",
        "activation": "relu",
        "recipe": {"epochs": 2, "batch_size": 64},
        "seed": 17,
        "objectives": ["accuracy", "flops"],
    }
    (folder / "request.json").write_text(json.dumps(request | more))
    return folder


def result(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "result.json").read_text())
    return found


def test_settings_decide_network_and_training(jets: Path, tmp_path: Path) -> None:
    settings = SMALL | {"feedforward_ratio": 3, "constituents": 7, "norm": "layer", "activation": "silu"}
    folder = ask(tmp_path / "a", jets, settings | {"dropout": 0, "epochs": 1, "learning_rate": 0.125})
    trial.run(folder)
    state = load(folder / "state.safetensors")
    found = state.architecture
    assert (found.attention_dims, found.feedforward_dims, found.heads) == ((6,), (18,), 2)
    assert (found.constituents, found.norm, found.activation) == (7, "layer", "silu")
    recipe = state.provenance["recipe"]
    assert (recipe["epochs"], recipe["batch_size"], recipe["learning_rate"], recipe["seed"]) == (
        1,
        64,
        0.125,
        17,
    )
    assert result(folder)["values"]["accuracy"] == state.metrics["validation_accuracy"]
    assert (result(folder)["epochs"], result(folder)["state"]) == (1, "state.safetensors")
    assert not list(folder.glob("*.partial"))


def test_the_same_request_gives_the_same_and_another_seed_another_network(jets: Path, tmp_path: Path) -> None:
    folders = [ask(tmp_path / name, jets, SMALL, seed=seed) for name, seed in (("a", 1), ("b", 1), ("c", 2))]
    for folder in folders:
        trial.run(folder)
    first, again, other = (load(folder / "state.safetensors").metrics for folder in folders)
    assert first == again
    assert first != other


def test_linear_attention_is_linformer_s(jets: Path, tmp_path: Path) -> None:
    folder = ask(tmp_path / "a", jets, SMALL | {"attention": "linear"}, norm="layer")
    trial.run(folder)
    network = load(folder / "state.safetensors").network
    assert isinstance(network, Linformer)
    assert (len(network.blocks), network.head.in_features) == (1, 6)
    assert network.sizes["norm"] == "layer"


@pytest.mark.parametrize("attention", ("softmax", "linear"))
def test_few_bits_are_judged_in_fixed_point(attention: str, jets: Path, tmp_path: Path) -> None:
    pytest.importorskip("jetformer_compress", reason="jetformer-compress is not installed here")
    folder = ask(tmp_path / "a", jets, SMALL | {"attention": attention, "bits": 5, "epochs": 1})
    trial.run(folder)
    fixed = load(folder / "fixed.safetensors")
    assert fixed.kind == "fixed_point"
    assert fixed.provenance["quantize"]["settings"]["widths"]["weights"] == 5
    assert fixed.provenance["quantize"]["settings"]["widths"]["activations"] == 5
    assert result(folder)["state"] == "fixed.safetensors"
    assert result(folder)["values"]["accuracy"] == fixed.metrics["validation_accuracy"]


def test_few_bits_without_jetformer_compress_are_one_sentence(
    jets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SearchError, match="pip install jetformer-compress"):
        trial.run(ask(tmp_path / "a", jets, SMALL | {"bits": 8}))


def test_a_killed_trial_goes_on(jets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, undisturbed = (ask(tmp_path / name, jets, SMALL | {"epochs": 4, "patience": 4}) for name in "ab")
    trial.run(undisturbed)

    class Killed(BaseException):
        pass

    def kill_after_two(history: Any) -> None:
        if len(history) == 2:
            raise Killed

    real = trial.training.train
    monkeypatch.setattr(
        trial.training, "train", lambda *given, **more: real(*given, **more, after_epoch=kill_after_two)
    )
    with pytest.raises(Killed):
        trial.run(folder)
    counted: list[int] = []
    monkeypatch.setattr(
        trial.training,
        "train",
        lambda *given, **more: real(*given, **more, after_epoch=lambda history: counted.append(len(history))),
    )
    trial.run(folder)
    assert counted == [3, 4]
    assert result(folder)["values"] == result(undisturbed)["values"]


def test_a_trained_network_is_not_trained_again_but_judged_anew(
    jets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = ask(tmp_path / "a", jets, SMALL)
    trial.run(folder)
    ask(folder, jets, SMALL, objectives=["parameters"])
    with monkeypatch.context() as patch:
        patch.setattr(trial.training, "train", None)
        trial.run(folder)
    assert list(result(folder)["values"]) == ["parameters"]
    before = load(folder / "state.safetensors").metrics
    trial.run(ask(folder, jets, SMALL, seed=18))
    assert load(folder / "state.safetensors").metrics != before


@pytest.mark.parametrize(
    ("settings", "sentence"),
    (
        ({"depth": 3}, "setting 'depth': expected one of blocks, embed_dim, heads"),
        ({"blocks": 2.5}, "setting 'blocks': expected a value of type int, got 2.5"),
        ({"dropout": True}, "setting 'dropout': expected a value of type float, got True"),
        ({"attention": "cosine"}, "expected one of softmax, linear"),
        ({"embed_dim": 7, "heads": 2}, "multiples of 2 heads"),
        ({"epochs": 0}, "at least 1"),
    ),
)
def test_a_wrong_point_is_one_sentence(
    settings: dict[str, Any], sentence: str, jets: Path, tmp_path: Path
) -> None:
    with pytest.raises((SearchError, ModelError), match=r".") as caught:
        trial.run(ask(tmp_path / "a", jets, settings))
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "a" / "result.json").exists()


def test_as_a_command(jets: Path, tmp_path: Path) -> None:
    def run(folder: Path) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "jetformer_hpo.trial", str(folder)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    good, bad = ask(tmp_path / "a", jets, SMALL), ask(tmp_path / "b", jets, SMALL, recipe={"haste": 3})
    assert run(good).returncode == 0
    assert result(good)["settings"] == SMALL
    done = run(bad)
    assert done.returncode == 1
    assert done.stderr.startswith("jetformer-hpo: recipe: ")
    assert done.stderr.count("\n") == 1
