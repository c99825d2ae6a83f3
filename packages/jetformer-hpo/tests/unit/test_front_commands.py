"""`front`, `export` and `confirm` on a study that is made by hand."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import sys
import tomllib
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
import pytest
from typer.main import get_command

from jetformer_data import schema
from jetformer_data.testing import example_jets
from jetformer_hpo import confirmation, findings, trial
from jetformer_hpo.commands import application
from jetformer_hpo.commands import confirm as confirm_command
from jetformer_hpo.commands import export as export_command
from jetformer_hpo.commands import front as front_command
from jetformer_hpo.space import Space
from jetformer_hpo.study import agree_on, make_study, open_storage
from jetformer_model.cli import app as model
from jetformer_model.optimisation import Recipe
from jetformer_model.state import load

COMMANDS = (front_command, export_command, confirm_command)
SPACE = Space.of(
    {"blocks": [1, 2], "embed_dim/heads": ["4/1", "6/2", "8/2"], "attention": ["softmax", "linear"]}
)
# (point, accuracy, FLOPs): 0 and 2 are on the front, 1 is dominated by 0, 3 and 4 are not feasible
FOUND = (
    ((1, "6/2", "softmax"), 0.70, 2000),
    ((2, "6/2", "softmax"), 0.69, 4000),
    ((2, "8/2", "linear"), 0.75, 9000),
    ((1, "4/1", "softmax"), 0.50, 1000),
    ((1, "4/1", "linear"), 0.59, 900),
)


@dataclass
class Done:
    """What a command left on the terminal."""

    status: int
    stdout: str
    stderr: str


def run(*arguments: str | Path) -> Done:
    """The command in this process: starting another one for each case would cost seconds."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "argv", ["jetformer-hpo", *map(str, arguments)])
        patch.setenv("COLUMNS", "160")
        with pytest.raises(SystemExit) as leaving:
            application.main()
    return Done(leaving.value.code or 0, out.getvalue(), err.getvalue())


def refused(*arguments: str | Path) -> str:
    """The sentence with which a command refuses."""
    done = run(*arguments)
    assert done.status == 1, done.stdout
    last = done.stderr.splitlines()[-1]
    assert last.startswith("jetformer-hpo: ")
    return last


def make(
    path: Path,
    request: dict[str, Any],
    found: Sequence[tuple[tuple[Any, ...], float, int]] = FOUND,
    constraints: Sequence[str] = ("accuracy>=0.6",),
) -> Path:
    """A study with these results, and a failed trial."""
    with open_storage(path, create=True) as storage:
        study = make_study(storage, ["maximize", "minimize"], ["accuracy", "flops"])
        settings = {"objectives": ["accuracy", "flops"], "constraints": list(constraints)}
        agree_on(study, settings | {"space": SPACE.as_dict(), "data_sha256": ["0"], "request": request})
        for point, accuracy, flops in found:
            study.add_trial(
                optuna.trial.create_trial(
                    params=SPACE.parameters(point),
                    distributions=SPACE.distributions,
                    values=[accuracy, flops],
                    user_attrs={"measured": {"accuracy": accuracy, "flops": flops}},
                )
            )
        failed = optuna.trial.create_trial(
            state=optuna.trial.TrialState.FAIL,
            params=SPACE.parameters(list(SPACE)[-1]),
            distributions=SPACE.distributions,
            user_attrs={"failure": "it was killed"},
        )
        study.add_trial(failed)
    return path


@pytest.fixture(scope="module")
def jets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "jets.h5"
    schema.write(path, example_jets(300, seed=7))
    return path


@pytest.fixture(scope="module")
def request_(jets: Path) -> dict[str, Any]:
    return {
        "data": [str(jets)],
        "features": ["pt", "etarel", "phirel"],
        "min_pt_gev": 1.5,
        "constituents": 5,
        "norm": "batch",
        "activation": "relu",
        "recipe": dataclasses.asdict(Recipe(epochs=2, batch_size=64, patience=3)),
        "objectives": ["accuracy", "flops"],
        "seed": 3,
    }


@pytest.fixture
def study(tmp_path: Path, request_: dict[str, Any]) -> Path:
    return make(tmp_path / "study.sqlite3", request_)


def test_front_tells_the_kinds_apart(study: Path, tmp_path: Path) -> None:
    done = run("front", study, "--json", "--csv", tmp_path / "a.csv", "--latex", tmp_path / "a.tex")
    assert done.status == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["front"] == [0, 2]
    assert [one["kind"] for one in found["candidates"]] == [
        "pareto",
        "dominated",
        "pareto",
        "infeasible",
        "infeasible",
    ]
    assert found["candidates"][2]["settings"] == {
        "blocks": 2,
        "embed_dim": 8,
        "heads": 2,
        "attention": "linear",
    }
    assert found["objectives"] == {"accuracy": "maximize", "flops": "minimize"}
    assert found["optimism"] is None
    with (tmp_path / "a.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    kinds = [(row["trial"], row["kind"], row["flops"]) for row in rows[1:3]]
    assert kinds == [("1", "dominated", "4000"), ("2", "pareto", "9000")]
    latex = (tmp_path / "a.tex").read_text()
    assert r"embed\_dim & heads & attention & accuracy \% & flops \\" in latex
    assert r"2 & 2 & 8 & 2 & linear & 75.00 & 9\,000 \\" in latex
    assert latex.count(r"\\") == 3


def test_front_prints_the_pareto_set(study: Path) -> None:
    printed = " ".join(run("front", study).stdout.split())
    assert "accuracy>=0.6: 2 on the front, 1 dominated, 2 infeasible" in printed
    assert "9,000" in printed
    assert "4,000" not in printed


def test_confirmed_accuracies_are_shown_with_their_error(study: Path, tmp_path: Path) -> None:
    with findings.opened(study) as opened:
        for seed, accuracy in ((1, 0.66), (2, 0.68), (3, 0.70)):
            findings.confirm(opened, 0, seed, {"accuracy": accuracy, "flops": 2000})
        findings.confirm(opened, 2, 1, {"accuracy": 0.73, "flops": 9000})
    done = run("front", study, "--csv", tmp_path / "a.csv")
    # 0.02 / sqrt(3) is the error of the mean of 66, 68, 70 %
    assert "68.00 ± 1.15" in done.stdout
    # 2 points each
    assert "accuracy of the search is 2.00 ± 0.00 points above that of other seeds" in done.stdout
    assert "mean over the 2 confirmed of 2 on the front" in " ".join(done.stdout.split())
    with (tmp_path / "a.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert float(rows[0]["accuracy confirmed"]) == pytest.approx(0.68)
    assert [row["accuracy seeds"] for row in rows] == ["3", "0", "1", "0", "0"]


def test_the_front_is_drawn(study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mplhep", reason="the extra plot is not installed here")
    from matplotlib.axes import Axes

    drawn: dict[str, list[float]] = {}
    plot = Axes.plot

    def watch(self: Axes, x: Any, y: Any, **more: Any) -> Any:
        drawn[more.get("label", "")] = list(y)
        return plot(self, x, y, **more)

    monkeypatch.setattr(Axes, "plot", watch)
    assert run("front", study, "--plot", tmp_path / "front.png").status == 0
    assert (tmp_path / "front.png").read_bytes().startswith(b"\x89PNG")
    assert drawn["Pareto front (2)"] == pytest.approx([70, 75])
    assert drawn["Dominated (1)"] == pytest.approx([69])
    assert drawn["Infeasible (2)"] == pytest.approx([50, 59])
    assert "cannot be written" in refused("front", study, "--plot", tmp_path / "absent" / "front.png")


def train(config: Path, out: Path) -> None:
    get_command(model)(["train", "--config", str(config), "--out", str(out)], standalone_mode=False)


def test_what_is_exported_trains_the_trial_s_network(
    study: Path, request_: dict[str, Any], tmp_path: Path
) -> None:
    for pick, number, settings in (
        ("smallest-feasible", 0, {"blocks": 1, "embed_dim": 6, "heads": 2, "attention": "softmax"}),
        ("2", 2, {"blocks": 2, "embed_dim": 8, "heads": 2, "attention": "linear"}),
    ):
        config, out = tmp_path / f"{number}.toml", tmp_path / f"{number}.safetensors"
        done = run("export", study, config, "--pick", pick)
        assert done.status == 0, done.stderr
        assert f"trial {number}" in done.stdout
        train(config, out)
        folder = tmp_path / f"trial-{number}"
        folder.mkdir()
        (folder / "request.json").write_text(json.dumps(request_ | {"settings": settings}))
        trial.run(folder)
        exported, searched = load(out), load(folder / "state.safetensors")
        assert exported.metrics == searched.metrics
        assert exported.name == searched.name
        assert exported.inputs == searched.inputs


def test_export_keeps_what_the_point_sets(study: Path, tmp_path: Path) -> None:
    assert run("export", study, tmp_path / "a.toml", "--pick", "knee", "--seed", "12").status == 0
    text = (tmp_path / "a.toml").read_text()
    assert text.startswith("# Trial 0 of a search: accuracy 0.7, flops 2000.\n")
    found = tomllib.loads(text)
    assert (found["seed"], found["epochs"], found["patience"], found["min-pt"]) == (12, 2, 3, 1.5)
    assert (found["blocks"], found["embed-dim"], found["heads"], found["norm"]) == (1, 6, 2, "batch")


def test_confirm_trains_the_front_with_other_seeds_once(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = run("confirm", study, "--seeds", "2", "--workers", "2", "--json")
    assert done.status == 0, done.stderr
    found = json.loads(done.stdout)
    confirmed = [
        len(one["confirmed"].get("accuracy", {"values": []})["values"]) for one in found["candidates"]
    ]
    assert confirmed == [2, 0, 2, 0, 0]
    assert len(list((tmp_path / "confirm").iterdir())) == 4
    first = found["candidates"][0]["confirmed"]["accuracy"]
    folders = [tmp_path / "confirm" / f"trial-0-seed-{confirmation.FIRST_SEED + i}" for i in range(2)]
    states = [load(folder / "state.safetensors") for folder in folders]
    assert sorted(first["values"]) == sorted(state.metrics["validation_accuracy"] for state in states)
    assert found["optimism"]["mean"] == pytest.approx(
        sum(0.7 + 0.05 * (i == 2) - found["candidates"][i]["confirmed"]["accuracy"]["mean"] for i in (0, 2))
        / 2
    )

    started: list[confirmation.Repetition] = []
    start = confirmation.Repetition.start

    def watch(self: confirmation.Repetition, *given: Any) -> Any:
        started.append(self)
        return start(self, *given)

    monkeypatch.setattr(confirmation.Repetition, "start", watch)
    assert run("confirm", study, "--seeds", "2").status == 0
    assert started == []
    assert run("confirm", study, "--seeds", "3").status == 0
    another = confirmation.FIRST_SEED + 2
    assert [(one.candidate.trial, one.seed) for one in started] == [(0, another), (2, another)]


def test_a_confirmation_that_fails_leaves_the_others(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request_: dict[str, Any]
) -> None:
    with findings.opened(study) as opened:
        settings = opened.user_attrs["settings"]
        broken = request_ | {"recipe": {"haste": 1}}
        opened.set_user_attr("settings", settings | {"request": broken})
        findings.confirm(opened, 2, confirmation.FIRST_SEED, {"accuracy": 0.7, "flops": 1})
    assert f"trial 0 with seed {confirmation.FIRST_SEED} failed: recipe: " in refused(
        "confirm", study, "--seeds", "1"
    )
    with findings.opened(study) as opened:
        assert [len(one.confirmed) for one in findings.read(opened).front] == [0, 1]


def test_what_is_wrong_is_one_sentence(study: Path, request_: dict[str, Any], tmp_path: Path) -> None:
    empty = make(tmp_path / "empty.sqlite3", request_, found=FOUND[:0])
    strict = make(tmp_path / "strict.sqlite3", request_, constraints=["accuracy>=0.8", "flops<=1000"])
    assert "no trial of this study has finished" in refused("front", empty)
    assert (
        "none of the 5 candidates fulfils accuracy>=0.8 and flops<=1000; "
        "the nearest is trial 4 with accuracy 0.59, flops 900" in refused("front", strict)
    )
    assert "none of the 5" in refused("export", strict, tmp_path / "a.toml")
    assert "none of the 5" in refused("confirm", strict)
    assert "trial 5 trained no point" in refused("export", study, tmp_path / "a.toml", "--pick", "5")
    assert "trial 6 trained no point" in refused("export", study, tmp_path / "a.toml", "--pick", "6")
    sentence = refused("export", study, tmp_path / "a.toml", "--pick", "best")
    assert "expected smallest-feasible, knee or the number" in sentence
    assert "cannot be written" in refused("export", study, tmp_path / "absent" / "a.toml")
    assert "cannot be written" in refused("front", study, "--csv", tmp_path / "absent" / "a.csv")
    assert "no such study" in refused("front", tmp_path / "absent.sqlite3")
