import csv
import json
import math
import sys

import pytest
from typer.testing import CliRunner

from jetformer_hpo.commands import compare_samplers, tabulate
from jetformer_hpo.commands.application import app, main
from jetformer_hpo.space import Space
from jetformer_hpo.tabulated import Table

COMMANDS = (compare_samplers, tabulate)  # with two of them, each goes by its name


@pytest.fixture
def table(tmp_path):
    space = Space.of({"blocks": list(range(1, 8)), "embed_dim": [8, 16, 32], "dropout": [0.0, 0.05]})
    made = Table(space, {"accuracy": "maximize", "flops": "minimize"}, {"data_sha256": ["abc"]})
    for point in space:
        flops = 100 * point[0] * point[1] ** 2
        made.add(point, {"accuracy": 0.1 * math.log10(flops) - point[2], "flops": flops})
    made.write(tmp_path / "table.json")
    return tmp_path / "table.json"


def invoke(*arguments):
    return CliRunner().invoke(app, ["compare-samplers", *map(str, arguments)], catch_exceptions=False)


def test_bands_are_printed_and_written(table, tmp_path):
    out = tmp_path / "new" / "comparison"
    told = invoke(table, "--samplers", "nsga2, random", "--trials", 41, "--seeds", 3, "--out", out)
    assert told.exit_code == 0, told.output
    assert "40 trials" in told.output
    assert "41 trials" in told.output
    assert "60 trials" not in told.output
    report = json.loads((out / "hypervolume.json").read_text())
    assert set(report["hypervolume"]) == {"nsga2", "random"}
    assert report["hypervolume"]["nsga2"]["seeds"] == 3
    band = report["hypervolume"]["nsga2"]["40"]
    assert 0 < band["low"] <= band["median"] <= band["high"] <= report["whole_table"] + 1e-12
    assert report["normalisation"]["reference_point"] == [0, 0]
    assert report["normalisation"]["scales"]["flops"] == {"worst": 716800, "best": 6400, "logarithmic": True}
    assert report["table"] == {"data_sha256": ["abc"]}
    rows = list(csv.DictReader((out / "hypervolume.csv").read_text().splitlines()))
    assert len(rows) == 2 * 41
    assert rows[39]["trial"] == "40"
    assert float(rows[39]["median"]) == pytest.approx(band["median"], abs=1e-6)
    assert (out / "hypervolume.png").read_bytes().startswith(b"\x89PNG")


def test_json_alone(table):
    told = invoke(table, "--samplers", "random", "--trials", 12, "--seeds", 2, "--json")
    assert list(json.loads(told.stdout)["hypervolume"]["random"]) == ["seeds", "12"]


def test_a_constraint_moves_the_reference(table):
    told = invoke(
        table, "--samplers", "grid", "--trials", 5, "--seeds", 1, "--constraint", "accuracy>=0.5", "--json"
    )
    report = json.loads(told.stdout)
    assert report["normalisation"]["scales"]["accuracy"]["worst"] == 0.5
    assert report["normalisation"]["constraints"] == ["accuracy>=0.5"]


def test_botorch_runs_fewer_seeds(table, monkeypatch):
    asked = {}

    def note(table, problem, seeds, *others, **options):
        asked.update(seeds)
        return compare(table, problem, {"random": 1}, 3)

    compare = compare_samplers.compare
    monkeypatch.setattr(compare_samplers, "compare", note)
    invoke(table, "--samplers", "tpe,botorch", "--seeds", 50, "--botorch-seeds", 4)
    assert asked == {"tpe": 50, "botorch": 4}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    (
        (["nowhere.json"], "jetformer-hpo: table 'nowhere.json': expected a readable file or one of"),
        (["{table}", "--samplers", "luck"], "jetformer-hpo: sampler 'luck': expected one of nsga2"),
        (["{table}", "--objectives", "accuracy,lut"], "jetformer-hpo: 'lut' is not in the table"),
        (["{table}", "--constraint", "accuracy"], "jetformer-hpo: constraint 'accuracy': expected such as"),
    ),
)
def test_what_is_wrong_is_one_sentence(table, monkeypatch, capsys, arguments, sentence):
    filled = [argument.format(table=table) for argument in arguments]
    monkeypatch.setattr(sys, "argv", ["jetformer-hpo", "compare-samplers", *filled])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 1
    told = capsys.readouterr().err.strip().splitlines()
    assert told[-1].startswith(sentence)


def test_without_the_plot_extra_the_numbers_are_kept(table, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "mplhep", None)
    arguments = [
        str(table),
        "--samplers",
        "random",
        "--trials",
        "5",
        "--seeds",
        "1",
        "--out",
        str(tmp_path / "out"),
    ]
    monkeypatch.setattr(sys, "argv", ["jetformer-hpo", "compare-samplers", *arguments])
    with pytest.raises(SystemExit):
        main()
    assert "pip install 'jetformer-hpo[plot]'" in capsys.readouterr().err
    assert (tmp_path / "out" / "hypervolume.csv").is_file()
