import json
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner, Result

from jetformer_model.cli import app
from jetformer_model.state import State, save
from jetformer_model.taggers.registry import build
from jetformer_model.testing import CLASS_NAMES, example_state


def explain(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["explain", *map(str, arguments)])


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("state") / "small.safetensors"
    save(path, example_state())
    return path


def test_json_holds_a_jet_of_each_class_and_each_feature(state: Path, jets_file: Path) -> None:
    found = json.loads(explain(state, jets_file, "--json").stdout)
    assert [jet["label"] for jet in found["attention"]] == list(CLASS_NAMES)
    assert len(found["attention"][0]["attention"]) == len(found["attention"][0]["pt"])
    assert found["importance"].keys() == {"pt", "etarel", "phirel"}


def test_jets_and_head_are_chosen(state: Path, jets_file: Path) -> None:
    arguments = (state, jets_file, "--repeats", 0, "--json", "--jets", "5,0")
    mean, one = (json.loads(explain(*arguments, *more).stdout) for more in ((), ("--block", 0, "--head", 1)))
    assert [jet["jet"] for jet in mean["attention"]] == [5, 0]
    assert mean["attention"][0]["attention"] != one["attention"][0]["attention"]
    assert mean["importance"] == {}


def test_tables_and_pictures(state: Path, jets_file: Path, tmp_path: Path) -> None:
    result = explain(state, jets_file, "--most", 50, "--plots", tmp_path)
    assert result.exit_code == 0, result.output
    assert "accuracy lost" in result.stdout
    assert {path.name for path in tmp_path.glob("*.png")} == {"attention.png", "importance.png"}


def test_a_tagger_without_attention_gets_its_importance_and_a_sentence(
    jets_file: Path, tmp_path: Path
) -> None:
    torch.manual_seed(1)
    inputs = example_state().inputs
    network = build("deep-sets", inputs, constituents=8, classes=5).eval()
    save(tmp_path / "sets.safetensors", State(network, inputs, CLASS_NAMES))
    result = explain(tmp_path / "sets.safetensors", jets_file, "--json", "--plots", tmp_path / "new")
    assert "this network is a deep-sets" in result.stderr
    found = json.loads(result.stdout)
    assert found["attention"] == []
    assert len(found["importance"]) == 3
    assert [path.name for path in (tmp_path / "new").glob("*.png")] == ["importance.png"]


@pytest.mark.parametrize(
    ("options", "sentence"),
    (
        (("--jets", "1,two"), "expected positions separated by commas"),
        (("--jets", "99999"), "jet 99999: expected a number from 0 to"),
        (("--block", "7"), "block 7: expected a number from 0 to 1"),
        (("--split", "tests"), "expected one of train"),
    ),
)
def test_bad_input_is_one_sentence(
    options: tuple[str, str], sentence: str, state: Path, jets_file: Path
) -> None:
    result = explain(state, jets_file, "--repeats", 0, *options)
    assert result.exit_code == 1
    assert sentence in str(result.exception)
