import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner, Result

from jetformer_data.schema import write
from jetformer_data.testing import example_jets
from jetformer_model.cli import app
from jetformer_model.inputs import Inputs
from jetformer_model.state import State, save
from jetformer_model.taggers.registry import build
from jetformer_model.testing import CLASS_NAMES, FEATURES, example_state


def evaluate(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["evaluate", *map(str, arguments)])


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("state") / "small.safetensors"
    save(path, example_state())
    return path


def test_json_holds_old_keys_and_new_with_intervals(state: Path, jets_file: Path) -> None:
    found = json.loads(evaluate(state, jets_file, "--resamples", 7, "--json").stdout)
    assert {"accuracy_error", "loss", "rejection", "rejection_at_signal_efficiency"} <= found.keys()
    assert found["working_points"]["t"] == {"signal_efficiency": 0.5, "against": "rest"}
    low, high = found["intervals"]["accuracy"]
    assert low <= found["accuracy"] <= high
    assert found["resamples"] == 7
    assert found["accuracy_in_bins"].keys() == {"multiplicity", "jet_pt"}


def test_no_resamples_no_intervals(state: Path, jets_file: Path) -> None:
    assert "intervals" not in json.loads(evaluate(state, jets_file, "--resamples", 0, "--json").stdout)
    assert "[" not in evaluate(state, jets_file, "--resamples", 0).stdout
    assert "[" in evaluate(state, jets_file, "--resamples", 5).stdout


def test_plots_are_written(state: Path, jets_file: Path, tmp_path: Path) -> None:
    result = evaluate(state, jets_file, "--resamples", 3, "--plots", tmp_path / "pictures")
    assert result.exit_code == 0, result.output
    assert len(list((tmp_path / "pictures").glob("*.png"))) == 5


def test_any_tagger_is_evaluated(jets_file: Path, tmp_path: Path) -> None:
    torch.manual_seed(1)
    inputs = Inputs(FEATURES, ("GeV", "", "rad"), (60.0, 0.0, 0.0), (80.0, 0.1, 0.1), 2.0)
    network = build("deep-sets", inputs, constituents=8, classes=5)
    save(tmp_path / "sets.safetensors", State(network.eval(), inputs, CLASS_NAMES))
    result = evaluate(tmp_path / "sets.safetensors", jets_file, "--resamples", 3, "--json")
    assert 0 <= json.loads(result.stdout)["expected_calibration_error"] <= 1


def test_a_file_without_jet_pt_is_told(state: Path, tmp_path: Path) -> None:
    jets = replace(
        example_jets(jets=300, seed=2), jet_features=None, jet_feature_names=(), jet_feature_units=()
    )
    write(tmp_path / "bare.h5", jets)
    result = evaluate(state, tmp_path / "bare.h5", "--resamples", 0, "--json")
    assert "jet_pt is not stored" in result.stderr
    assert json.loads(result.stdout)["accuracy_in_bins"].keys() == {"multiplicity"}


def test_stored_scores_are_evaluated_as_their_network(state: Path, jets_file: Path, tmp_path: Path) -> None:
    scores = tmp_path / "scores.h5"
    predicted = CliRunner().invoke(
        app, ["predict", str(jets_file), "--model", str(state), "--out", str(scores)]
    )
    assert predicted.exit_code == 0, predicted.output
    found, expected = (
        json.loads(evaluate(source, jets_file, "--resamples", 0, "--json").stdout)
        for source in (scores, state)
    )
    assert found["accuracy"] == expected["accuracy"]
    assert found["loss"] == pytest.approx(expected["loss"], abs=1e-5)
    assert found["auc"] == pytest.approx(expected["auc"], abs=1e-3)


def test_scores_of_other_jets_are_refused(state: Path, jets_file: Path, tmp_path: Path) -> None:
    scores = tmp_path / "scores.h5"
    command = ["predict", str(jets_file), "--model", str(state), "--out", str(scores), "--split", "train"]
    assert CliRunner().invoke(app, command).exit_code == 0
    assert "jets have no scores" in str(evaluate(scores, jets_file).exception)
    assert "expected HDF5 scores" in str(evaluate(jets_file, jets_file).exception)


@pytest.mark.parametrize(
    ("options", "sentence"),
    (
        (("--split", "tests"), "expected one of train"),
        (("--plots", "FILE"), "cannot be used as a folder"),
        (("--logits", "FILE/logits.safetensors"), "there is no folder"),
    ),
)
def test_bad_input_is_one_sentence(
    options: tuple[str, str], sentence: str, state: Path, jets_file: Path, tmp_path: Path
) -> None:
    (tmp_path / "FILE").write_text("")
    result = evaluate(
        state, jets_file, "--resamples", 0, options[0], options[1].replace("FILE", str(tmp_path / "FILE"))
    )
    assert result.exit_code == 1
    assert sentence in str(result.exception)


def test_a_negative_number_of_resamples_is_refused(state: Path, jets_file: Path) -> None:
    result = evaluate(state, jets_file, "--resamples", -1)
    assert result.exit_code == 2
    assert "--resamples" in result.stderr
