"""The command: one tiny real search, what it leaves behind, and one sentence for each wrong input."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from jetformer_data import schema
from jetformer_data.testing import example_jets
from jetformer_hpo import cli
from jetformer_model.config import Architecture
from jetformer_model.flops import flops


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
        patch.setenv("COLUMNS", "120")
        with pytest.raises(SystemExit) as leaving:
            cli.main()
    return Done(leaving.value.code or 0, out.getvalue(), err.getvalue())


def refused(*arguments: str | Path) -> str:
    """The sentence with which a command refuses."""
    done = run(*arguments)
    assert done.status == 1, done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.startswith("jetformer-hpo: ")
    return last


@pytest.fixture(scope="module")
def jets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "jets.h5"
    schema.write(path, example_jets(300, seed=7))
    return path


def search(jets: Path, out: Path, trials: int) -> dict[str, Any]:
    done = run(
        "search", jets, "--trials", str(trials), "--epochs", "1", "--seed", "11", "--out", out, "--json"
    )
    assert done.status == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return report


@pytest.fixture(scope="module")
def searched(jets: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    out = tmp_path_factory.mktemp("search")
    return out, search(jets, out, 3)


def test_search_reports_trained_networks(searched: tuple[Path, dict[str, Any]]) -> None:
    out, report = searched
    assert report["trained"] == 3
    assert report["failed"] == 0
    assert json.loads((out / "front.json").read_text()) == report
    for candidate in report["front"]:
        assert candidate["flops"] == flops(Architecture.from_dict(candidate["architecture"]))
        assert 0 < candidate["validation_accuracy"] <= 1
        assert candidate["architecture"]["classes"] == 5


def test_same_command_trains_nothing_and_more_trials_go_on(
    jets: Path, searched: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    out, report = searched
    study = tmp_path / "study.sqlite3"
    study.write_bytes((out / "study.sqlite3").read_bytes())
    assert search(jets, tmp_path, 3) == report
    assert search(jets, tmp_path, 4)["trained"] == 4


def test_front_prints_a_table_and_json(searched: tuple[Path, dict[str, Any]]) -> None:
    out, report = searched
    table = run("front", out / "study.sqlite3")
    assert f"{report['front'][0]['flops']:,}" in table.stdout
    assert "Pareto front of 3 trained points (0 failed)" in table.stdout
    assert json.loads(run("front", out / "study.sqlite3", "--json").stdout) == report


def test_export_writes_the_most_accurate_architecture_within_a_budget(
    searched: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    out, report = searched
    cheapest = report["front"][0]
    done = run("export", out / "study.sqlite3", tmp_path / "a.json", "--max-flops", str(cheapest["flops"]))
    assert done.status == 0, done.stderr
    assert json.loads((tmp_path / "a.json").read_text()) == cheapest


def test_wrong_input_is_one_sentence(
    jets: Path, searched: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    study = searched[0] / "study.sqlite3"
    half = tmp_path / "half.h5"
    half.write_bytes(jets.read_bytes()[:3000])
    other = tmp_path / "other.h5"
    schema.write(other, example_jets(300, seed=8))
    text = tmp_path / "text.sqlite3"
    text.write_text("no database at all, but long enough to be read as one\n" * 30)

    assert "absent.h5" in refused("search", tmp_path / "absent.h5", "--trials", "1", "--out", tmp_path / "x")
    assert "half.h5" in refused("search", half, "--trials", "1", "--out", tmp_path / "x")
    assert not (tmp_path / "x").exists()
    assert "data_sha256" in refused("search", other, "--trials", "4", "--epochs", "1", "--out", study.parent)
    assert "recipe" in refused(
        "search", jets, "--trials", "4", "--epochs", "2", "--seed", "11", "--out", study.parent
    )
    assert "no such study" in refused("front", tmp_path / "absent.sqlite3")
    assert "cannot be opened" in refused("front", text)
    assert "trial 77" in refused("export", study, tmp_path / "b.json", "--trial", "77")
    assert "no candidate is so small" in refused("export", study, tmp_path / "b.json", "--max-flops", "10")
    assert "norm" in refused("search", jets, "--trials", "1", "--norm", "none", "--out", tmp_path / "x")


def test_a_wrong_file_leaves_no_traceback(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "jetformer_hpo",
        "front",
        str(tmp_path / "absent.sqlite3"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "no such study" in done.stderr
