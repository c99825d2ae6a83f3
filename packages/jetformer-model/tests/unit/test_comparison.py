import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from jetformer_model.comparison import Comparison, Conditions, Entry
from jetformer_model.comparison_table import Number, as_latex, make_rows
from jetformer_model.errors import ModelError
from jetformer_model.optimisation import Recipe

RECIPE = Recipe(epochs=2, batch_size=64, learning_rate=5e-3)
ENTRIES = [Entry(8, tagger, seed) for tagger in ("deep-sets", "mlp") for seed in (0, 1)]


def comparison(jets_file: Path, folder: Path, recipe: Recipe = RECIPE) -> Comparison:
    return Comparison(Conditions((jets_file,), ("pt", "etarel", "phirel"), 2.0, recipe), folder)


def compare(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "jetformer_model", "compare", *(str(argument) for argument in arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_what_is_there_is_not_trained_again(
    jets_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = dict(comparison(jets_file, tmp_path).run(ENTRIES[:3]))
    trained: list[Entry] = []
    make = Comparison._make
    monkeypatch.setattr(Comparison, "_make", lambda self, entry: trained.append(entry) or make(self, entry))
    second = dict(comparison(jets_file, tmp_path).run(ENTRIES))
    assert trained == ENTRIES[3:]
    assert set(second) == set(ENTRIES)
    assert all(second[entry] == first[entry] for entry in first)


def test_several_trainings_at_a_time_give_the_same_networks(jets_file: Path, tmp_path: Path) -> None:
    alone = dict(comparison(jets_file, tmp_path / "alone").run(ENTRIES))
    together = dict(comparison(jets_file, tmp_path / "together").run(ENTRIES, jobs=2))
    assert alone == together


def test_seeds_differ_and_a_seed_repeats(jets_file: Path, tmp_path: Path) -> None:
    found = dict(comparison(jets_file, tmp_path / "first").run(ENTRIES[:2]))
    again = dict(comparison(jets_file, tmp_path / "second").run(ENTRIES[:1]))
    assert found[ENTRIES[0]] == again[ENTRIES[0]]
    assert found[ENTRIES[0]]["loss"] != found[ENTRIES[1]]["loss"]


def test_other_conditions_are_refused(jets_file: Path, tmp_path: Path) -> None:
    comparison(jets_file, tmp_path)
    with pytest.raises(ModelError, match="holds a comparison with other recipe"):
        comparison(jets_file, tmp_path, Recipe(epochs=3))


def result(accuracy: float, half_interval: float, rejection: float | None = 10.0) -> dict[str, Any]:
    values = {
        "accuracy": accuracy,
        "auc_macro": 0.9,
        "auc": {"a": 0.8},
        "rejection_at_working_point": {"a": rejection},
    }
    low_high = [accuracy - half_interval, accuracy + half_interval]
    intervals = {
        "accuracy": low_high,
        "auc_macro": [0.9, 0.9],
        "auc": {"a": [0.8, 0.8]},
        "rejection_at_working_point": {"a": [None, None]},
    }
    return values | {"intervals": intervals, "parameters": 7, "flops": 11}


def test_errors_of_seeds_and_of_the_sample_add_in_quadrature() -> None:
    results = {Entry(8, "x", seed): result(a, 0.004) for seed, a in enumerate((0.60, 0.62, 0.64))}
    (row,) = make_rows(results, {("x", 8): 5.0})
    accuracy = row.numbers["accuracy"]
    assert accuracy.value == pytest.approx(62)
    assert accuracy.error == pytest.approx(100 * (0.02**2 / 3 + 0.004**2) ** 0.5)
    assert (row.seeds, row.parameters, row.flops, row.jets_per_s) == (3, 7, 11, 5.0)


def test_a_rejection_without_limit_in_one_seed_is_no_number() -> None:
    results = {Entry(8, "x", 0): result(0.6, 0.01), Entry(8, "x", 1): result(0.6, 0.01, None)}
    (row,) = make_rows(results, {})
    assert row.numbers["rejection a"] == Number(None, None)


def test_rows_stand_by_constituents_and_then_by_accuracy() -> None:
    accuracies = {("a", 16): 0.5, ("b", 16): 0.6, ("c", 8): 0.4}
    results = {Entry(p, tagger, 0): result(value, 0.01) for (tagger, p), value in accuracies.items()}
    assert [row.tagger for row in make_rows(results, {})] == ["c", "b", "a"]


@pytest.mark.parametrize(
    ("value", "error", "text"),
    (
        (0.93117, 0.00141, "0.9312(14)"),
        (62.83, 0.5, "62.83(50)"),
        (62.83, 0.995, "62.83(100)"),
        (1234.5, 211.0, "1234(211)"),
        (15.4, 21.0, "15(21)"),
        (3.25, 0.0, "3.25"),
        (None, None, "-"),
    ),
)
def test_errors_stand_in_units_of_the_last_digit(value: float, error: float, text: str) -> None:
    assert str(Number(value, error)) == text


def test_latex_has_a_line_between_numbers_of_constituents() -> None:
    results = {Entry(p, "x_y", 0): result(0.5, 0.01) for p in (8, 16)}
    table = as_latex(make_rows(results, {}))
    assert table.count(r"\midrule") == 2
    assert r"x\_y & 8 & 50.0(10)" in table


def test_the_command_writes_table_and_plot(jets_file: Path, tmp_path: Path) -> None:
    settings = (
        jets_file,
        "--models",
        "mlp,jetformer-tiny",
        "--constituents",
        "4,8",
        "--seeds",
        1,
        "--epochs",
        1,
    )
    done = compare(*settings, "--out", tmp_path / "comparison")
    assert done.returncode == 0, done.stderr
    rows = list(csv.DictReader((tmp_path / "comparison" / "table.csv").read_text().splitlines()))
    assert [(row["tagger"], row["constituents"]) for row in rows if row["constituents"] == "4"]
    tiny = next(row for row in rows if (row["tagger"], row["constituents"]) == ("jetformer-tiny", "8"))
    assert (tiny["parameters"], tiny["flops"]) == ("2437", "26168")
    stored = json.loads((tmp_path / "comparison" / "runs" / "jetformer-tiny-8-0.json").read_text())
    assert float(tiny["accuracy"]) == pytest.approx(100 * stored["accuracy"])
    assert "jetformer-tiny" in done.stdout
    assert (tmp_path / "comparison" / "accuracy.png").stat().st_size > 1000


@pytest.mark.parametrize(
    ("options", "sentence"),
    (
        (("--models", "mlp,resnet"), "tagger 'resnet': expected one of"),
        (("--constituents", "8,few"), "expected whole numbers"),
        (("--seeds", "0"), "expected at least 1"),
        (("--models", "particlenet", "--features", "pt,charge"), "feature 'charge'"),
    ),
)
def test_bad_input_is_one_sentence(
    options: tuple[str, ...], sentence: str, jets_file: Path, tmp_path: Path
) -> None:
    done = compare(jets_file, *options, "--epochs", 1, "--out", tmp_path / "comparison")
    assert done.returncode == 1
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
