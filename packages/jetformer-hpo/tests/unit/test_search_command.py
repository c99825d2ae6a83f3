"""`jetformer-hpo search` as it is typed: what it prints, refuses and takes up again."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import optuna
import pytest
from typer.testing import CliRunner, Result

from jetformer_data import schema
from jetformer_data.testing import example_jets
from jetformer_hpo import testing, trial
from jetformer_hpo.cli import app
from jetformer_hpo.errors import SearchError

SPACE = """[axes]
blocks = [1, 2, 3]
"embed_dim/heads" = ["8/2", "16/2"]
dropout = [0.0]
"""


@pytest.fixture(scope="module")
def jets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "jets.h5"
    schema.write(path, example_jets(300, seed=7))
    return path


@pytest.fixture
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "run", testing.cheap)


def search(jets: Path, folder: Path, *options: str, space: str = SPACE, **more: str) -> Result:
    (folder / "space.toml").write_text(space)
    arguments = {"trials": "5", "space": str(folder / "space.toml"), "out": str(folder / "out")} | more
    named = [part for name, value in arguments.items() for part in (f"--{name.replace('_', '-')}", value)]
    return CliRunner().invoke(app, ["search", str(jets), *named, *options])


def sentence(result: Result) -> str:
    assert isinstance(result.exception, SearchError), result.output
    text = str(result.exception)
    assert "\n" not in text
    return text


@pytest.mark.usefixtures("cheap")
def test_the_front_is_printed_and_a_larger_budget_goes_on(jets: Path, tmp_path: Path) -> None:
    assert search(jets, tmp_path, trials="3").exit_code == 0
    result = search(jets, tmp_path, trials="100", workers="2")
    assert result.exit_code == 0, result.exception
    assert "42.86" in result.output  # 3 / 7, of the largest
    assert len(list((tmp_path / "out" / "trials").iterdir())) == 6


@pytest.mark.usefixtures("cheap")
def test_the_study_is_optunas_own(jets: Path, tmp_path: Path) -> None:
    assert search(jets, tmp_path, "--constraint", "accuracy>=0.2").exit_code == 0
    study = optuna.load_study(study_name="jetformer", storage=f"sqlite:///{tmp_path}/out/study.sqlite3")
    assert study.metric_names == ["accuracy", "flops"]
    assert len(study.best_trials) >= 1
    for one in study.trials:
        assert one.constraints == {"accuracy>=0.2": pytest.approx(0.2 - one.values[0])}


@pytest.mark.usefixtures("cheap")
def test_one_objective_gives_the_best_point(jets: Path, tmp_path: Path) -> None:
    result = search(jets, tmp_path, trials="6", objectives="accuracy")
    assert result.exit_code == 0, result.exception
    front = CliRunner().invoke(app, ["front", str(tmp_path / "out/study.sqlite3"), "--json"])
    best = [row for row in json.loads(front.stdout)["candidates"] if row["kind"] == "pareto"]
    assert [row["settings"]["blocks"] for row in best] in ([3], [3, 3])


@pytest.mark.usefixtures("cheap")
def test_a_space_of_one_point(jets: Path, tmp_path: Path) -> None:
    one = SPACE.replace("[1, 2, 3]", "[2]").replace('["8/2", "16/2"]', '["8/2"]')
    result = search(jets, tmp_path, space=one)
    assert result.exit_code == 0, result.exception


@pytest.mark.usefixtures("cheap")
def test_no_feasible_point_names_the_nearest(jets: Path, tmp_path: Path) -> None:
    text = sentence(search(jets, tmp_path, "--constraint", "accuracy>=0.9", trials="6"))
    assert text.startswith("none of the 6 candidates fulfils accuracy>=0.9; the nearest is trial")


@pytest.mark.parametrize(
    ("more", "expected"),
    (
        ({"space": "[axes]\n"}, "no axes"),
        ({"space": "[axes]\ncolour = [1]\n"}, "setting 'colour': expected one of"),
        ({"sampler": "annealing"}, "sampler 'annealing': expected one of"),
        ({"objectives": "accuracy,beauty"}, "objective 'beauty': no installed package offers it"),
        ({"objectives": "accuracy,accuracy"}, "named twice"),
        ({"constraint": "accuracy=1"}, "constraint 'accuracy=1': expected such as"),
        ({"storage": "postgresql://me:secret@localhost:1/none"}, "me:***@localhost:1/none: cannot be opened"),
        ({"storage": "nonsense://x"}, "nonsense://x: cannot be opened"),
    ),
)
def test_bad_input_is_one_sentence_and_leaves_nothing(
    jets: Path, tmp_path: Path, more: dict[str, str], expected: str
) -> None:
    assert expected in sentence(search(jets, tmp_path, **more))
    assert not (tmp_path / "out").exists()


def test_a_missing_extra_is_named_before_there_is_a_study(
    jets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "botorch", None)
    assert "pip install 'jetformer-hpo[botorch]'" in sentence(search(jets, tmp_path, sampler="botorch"))
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("cheap")
def test_a_study_is_not_continued_in_another_space(jets: Path, tmp_path: Path) -> None:
    assert search(jets, tmp_path).exit_code == 0
    other = SPACE.replace("[1, 2, 3]", "[1, 2, 3, 4]")
    said = sentence(search(jets, tmp_path, space=other))
    assert said.startswith("the study was made with space.blocks = [1, 2, 3], not [1, 2, 3, 4]")
    said = sentence(search(jets, tmp_path, epochs="3"))
    assert said.startswith("the study was made with request.recipe.epochs = 25, not 3")


@pytest.mark.parametrize("how", (signal.SIGINT, signal.SIGTERM))
def test_interrupted_it_ends_cleanly_and_goes_on(jets: Path, tmp_path: Path, how: signal.Signals) -> None:
    (tmp_path / "space.toml").write_text(SPACE)
    command: list[Any] = [sys.executable, "-m", "jetformer_hpo", "search", jets, "--out", tmp_path / "out"]
    command += [
        "--space",
        tmp_path / "space.toml",
        "--trials",
        "2",
        "--epochs",
        "1000",
        "--constituents",
        "3",
    ]
    going = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    logs = tmp_path / "out" / "trials" / "00000" / "log.txt"
    while not logs.exists():
        assert going.poll() is None
        time.sleep(0.05)
    going.send_signal(how)
    _, said = going.communicate(timeout=60)
    assert going.returncode == 130
    assert "stopped; the same command goes on from here" in said
    assert "Traceback" not in said
    storage = f"sqlite:///{tmp_path}/out/study.sqlite3"
    trials = optuna.load_study(study_name="jetformer", storage=storage).trials
    assert [one.state.name for one in trials] == ["FAIL"]
