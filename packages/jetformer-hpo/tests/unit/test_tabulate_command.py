import json
import sys
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from jetformer_hpo.commands import compare_samplers, tabulate
from jetformer_hpo.commands.application import app
from jetformer_hpo.errors import SearchError
from jetformer_hpo.tabulated import load_table
from jetformer_hpo.testing import cheap

COMMANDS = (compare_samplers, tabulate)  # with two of them, each goes by its name


@pytest.fixture
def requests(monkeypatch):
    """What trials were asked for; they cost nothing."""
    asked = []

    def run(folder):
        asked.append(json.loads((folder / "request.json").read_text()))
        if len(asked) == 5:
            raise ValueError("the loss is no number")
        cheap(folder)

    monkeypatch.setitem(sys.modules, "jetformer_hpo.trial", SimpleNamespace(run=run))
    return asked


@pytest.fixture
def space(tmp_path):
    path = tmp_path / "space.toml"
    path.write_text('[axes]\nblocks = [1, 2, 3, 4]\n"embed_dim/heads" = ["8/2", "16/2"]\ndropout = [0.0]\n')
    return path


def invoke(*arguments):
    return CliRunner().invoke(app, ["tabulate", *map(str, arguments)])


def test_all_points_are_measured_and_a_failed_one_again(requests, space, tmp_path):
    jets, out = tmp_path / "jets.h5", tmp_path / "table.json"
    jets.write_bytes(b"jets")
    arguments = (jets, "--space", space, "--out", out, "--epochs", 3, "--seed", 7)
    told = invoke(*arguments)
    assert isinstance(told.exception, SearchError)
    assert "1 of 8 points failed, the first, {'blocks': 3" in str(told.exception)
    assert len(load_table(out).rows) == 7
    told = invoke(*arguments)
    assert told.exit_code == 0, told.output
    assert len(requests) == 8 + 1
    table = load_table(out)
    assert table.complete
    assert table((3, "16/2", 0.0)) == {"accuracy": 3 / 7, "flops": 16002}
    assert table.provenance["seed"] == 7
    assert requests[0]["settings"] == {"blocks": 1, "embed_dim": 8, "heads": 2, "dropout": 0.0}
    assert requests[0]["data"] == [str(jets)]
    assert requests[0]["recipe"]["epochs"] == 3
    assert {
        "data",
        "features",
        "min_pt_gev",
        "constituents",
        "norm",
        "activation",
        "seed",
        "objectives",
    } < set(requests[0])


def test_a_table_of_other_jets_or_settings_is_not_gone_on_with(requests, space, tmp_path):
    jets, out = tmp_path / "jets.h5", tmp_path / "table.json"
    jets.write_bytes(b"jets")
    invoke(jets, "--space", space, "--out", out)
    asked = len(requests)
    assert "another request" in str(invoke(jets, "--space", space, "--out", out, "--epochs", 9).exception)
    assert "another space" in str(invoke(jets, "--space", "paper", "--out", out).exception)
    jets.write_bytes(b"other jets")
    assert "another data_sha256" in str(invoke(jets, "--space", space, "--out", out).exception)
    assert len(requests) == asked
