"""Objectives by name: those that ship, those of other packages, and what is no objective."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from jetformer_data import schema
from jetformer_data.testing import example_jets
from jetformer_hpo import objectives
from jetformer_hpo.errors import SearchError
from jetformer_hpo.objectives import Trained, directions, installed, measure, objective
from jetformer_model.config import Architecture
from jetformer_model.dataset import open_split, tagging_data
from jetformer_model.metrics import summarise
from jetformer_model.state import load, save
from jetformer_model.training import Recipe, predict, train

SHIPPED = {
    "accuracy": "maximize",
    "auc": "maximize",
    "flops": "minimize",
    "latency_us": "minimize",
    "parameters": "minimize",
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("trained")
    schema.write(folder / "jets.h5", example_jets(400, seed=13))
    data = tagging_data(folder / "jets.h5", constituents=5)
    shape = Architecture.uniform(blocks=1, embed_dim=6, heads=2, constituents=5, features=3, classes=5)
    result = train(data, shape, recipe=Recipe(epochs=2, batch_size=32, learning_rate=0.01, seed=1))
    save(folder / "state.safetensors", result.state)
    return Trained(folder / "state.safetensors", (folder / "jets.h5",))


def third_party(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, code: str, entries: str) -> None:
    """An installed package of somebody else."""
    (folder / f"{name}.py").write_text(code)
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{objectives.GROUP}]\n{entries}\n")
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delitem(sys.modules, name, raising=False)


def test_those_that_ship_are_installed() -> None:
    assert set(SHIPPED) <= set(installed())
    assert dict(zip(SHIPPED, directions(SHIPPED), strict=True)) == SHIPPED


def test_they_measure_what_others_measure(trained: Trained) -> None:
    found = measure(SHIPPED, trained)
    state = load(trained.state)
    jets = open_split(trained.data[0], "validation", state.inputs, 5)
    expected = summarise(predict(state.network, jets), jets.labels.numpy(), state.class_names)
    assert found["accuracy"] == pytest.approx(expected["accuracy"])
    assert found["auc"] == pytest.approx(expected["auc_macro"], abs=1e-6)
    # P F d + (4 T d a + 2 T T a + 2 T d m + 4 T d + 2 T m) + 2 d + C d, with P 5, F 3, d = a 6, m 12, T 6, C 5
    assert found["flops"] == 5 * 3 * 6 + (4 * 6 * 36 + 2 * 36 * 6 + 2 * 6 * 72 + 4 * 36 + 2 * 72) + 12 + 30
    assert found["parameters"] == sum(tensor.numel() for tensor in state.network.parameters())
    assert 1 < found["latency_us"] < 1e6


def test_measuring_latency_leaves_the_threads_as_they_were(trained: Trained) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        measure(["latency_us"], trained)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_a_third_party_adds_one_without_touching_us(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = "def size(trained): return trained.state.stat().st_size\nsize.direction = 'minimize'\n"
    third_party(tmp_path, monkeypatch, "their_package", code, "bytes = their_package:size")
    assert "bytes" in installed()
    assert directions(["bytes", "accuracy"]) == ("minimize", "maximize")
    assert measure(["bytes"], trained) == {"bytes": trained.state.stat().st_size}


@pytest.mark.parametrize(
    ("code", "sentence"),
    (
        ("import nothing_of_this_name", "cannot be imported"),
        ("size = 3", "expected bad_package:size to be a callable with an attribute `direction`"),
        ("def size(trained): return 1\nsize.direction = 'up'", "'maximize' or 'minimize'"),
        ("def size(trained): return float('nan')\nsize.direction = 'minimize'", "expected a number, got nan"),
        (
            "def size(trained): raise OSError('the scales broke')\nsize.direction = 'minimize'",
            "the scales broke",
        ),
    ),
)
def test_what_is_wrong_with_it_is_one_sentence(
    code: str, sentence: str, trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    third_party(tmp_path, monkeypatch, "bad_package", code, "bytes = bad_package:size")
    with pytest.raises(SearchError, match="objective 'bytes'") as caught:
        measure(["bytes"], trained)
    assert sentence in str(caught.value)


def test_two_packages_with_one_name_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    third_party(tmp_path, monkeypatch, "rival", "", "flops = rival:flops")
    with pytest.raises(
        SearchError, match=r"offered twice, by jetformer_hpo.objectives:flops and by rival:flops"
    ):
        objective("flops")


def test_an_unknown_one_names_those_that_there_are() -> None:
    with pytest.raises(SearchError, match=r"objective 'beauty'.*there are accuracy, auc, flops"):
        objective("beauty")
