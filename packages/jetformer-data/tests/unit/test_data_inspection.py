"""`inspect`: numbers that agree with those computed from all jets at once."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from jetformer_data import schema
from jetformer_data.cli import app
from jetformer_data.inspection import inspect
from jetformer_data.looking import contents
from jetformer_data.testing import example_jets


@pytest.fixture
def file(tmp_path: Path) -> Path:
    schema.write(tmp_path / "jets.h5", example_jets(101, seed=1, empty=1))
    return tmp_path / "jets.h5"


def test_numbers_of_each_class(file: Path) -> None:
    summary, jets = inspect(file), schema.read(file)
    assert summary["jets"] == 101
    assert summary["constituents"] == len(jets.constituents)
    for label, name in enumerate(jets.class_names):
        counts, row = jets.multiplicity[jets.labels == label], summary["classes"][name]
        assert row["jets"] == len(counts)
        assert row["mean"] == pytest.approx(counts.mean())
        for key, share in (
            ("least", 0),
            ("percentile_5", 5),
            ("median", 50),
            ("percentile_95", 95),
            ("most", 100),
        ):
            assert row[key] == np.percentile(counts, share, method="inverted_cdf"), key
        mass = jets.jet_column("jet_mass")[jets.labels == label]
        assert row["jet_mass"]["mean"] == pytest.approx(float(mass.mean()), rel=1e-5)
        assert row["jet_mass"]["most"] == float(mass.max())


def test_ranges_and_units_of_columns(file: Path) -> None:
    summary, jets = inspect(file), schema.read(file)
    pt = summary["features"]["pt"]
    assert pt["most"] == float(jets.column("pt").max())
    assert pt["mean"] == pytest.approx(float(jets.column("pt").astype(float).mean()))
    assert summary["features"]["phirel"]["unit"] == "rad"
    assert summary["jet_features"]["jet_mass"]["unit"] == "GeV"
    assert summary["provenance"]["seed"] == 1


def test_pieces_do_not_change_the_numbers(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = inspect(file)
    chunks = contents.Contents.chunks
    monkeypatch.setattr(contents.Contents, "chunks", lambda self: chunks(self, 7))
    pieces = inspect(file)
    assert pieces["classes"]["t"]["median"] == whole["classes"]["t"]["median"]
    assert pieces["features"]["etarel"]["std"] == pytest.approx(whole["features"]["etarel"]["std"])


def test_mass_and_pt_are_computed_where_they_are_not_stored(file: Path, tmp_path: Path) -> None:
    jets = schema.read(file)
    schema.write(
        tmp_path / "bare.h5",
        replace(jets, jet_features=None, jet_feature_names=(), jet_feature_units=()),
    )
    stored, computed = inspect(file)["classes"], inspect(tmp_path / "bare.h5")["classes"]
    for name in ("jet_pt", "jet_mass"):
        assert computed["W"][name]["mean"] == pytest.approx(stored["W"][name]["mean"], rel=1e-4)


def test_command_prints_tables_and_json(file: Path) -> None:
    shown = CliRunner().invoke(app, ["inspect", str(file)], env={"COLUMNS": "120"})
    assert shown.exit_code == 0
    for word in ("jets.h5: 101 jets", "class", "etarel", "jet_mass", "pt: least", "seed"):
        assert word in shown.stdout
    as_json = CliRunner().invoke(app, ["inspect", str(file), "--json"])
    assert json.loads(as_json.stdout) == inspect(file)


def test_samples_come_from_all_over_a_file_sorted_by_class(tmp_path: Path) -> None:
    jets = example_jets(500, seed=1)
    schema.write(tmp_path / "sorted.h5", jets.select(np.argsort(jets.labels, kind="stable")))
    with contents.open_contents(tmp_path / "sorted.h5") as file:
        sample = file.sample(50)
        assert len(sample) == 50
        assert np.bincount(sample.labels).tolist() == [10] * 5
        assert len(file.sample(1000)) == 500
