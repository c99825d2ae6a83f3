"""Shards, resumption and determinism of the generator; the physics is in `test_data_physics`."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from jetformer_data import schema
from jetformer_data.errors import DataError, MissingExtraError
from jetformer_data.features import find_feature_set
from jetformer_data.generation import generate, make_shard, plan
from jetformer_data.jets import Jets, concatenate
from jetformer_data.simulation.making import make_provenance
from jetformer_data.simulation.processes import STYLES
from jetformer_data.splitting import split_mask
from jetformer_data.statistics import training_normalisation
from jetformer_data.testing import example_jets
from jetformer_data.workers import Processes

pytest.importorskip("pythia8mc", reason="needs the extra 'generate'")
pytest.importorskip("fastjet", reason="needs the extra 'generate'")


@pytest.fixture
def cheap(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Shards made in this process from example jets; the list tells which."""
    made: list[int] = []

    def run(self: Processes, make: object, shards: list, folder: Path, progress: object) -> float:
        for shard in shards:
            made.append(shard.number)
            schema.write(shard.path, example_jets(shard.jets, seed=shard.seed + shard.number))
        return 1.0

    monkeypatch.setattr(Processes, "run", run)
    return made


def parameters(jets: int, seed: int, shard_jets: int) -> str:
    """What an earlier run has left of itself."""
    style = STYLES["hls4ml"]
    table = {"features": style.features, "feature_table": find_feature_set(style.features).table()}
    return json.dumps(make_provenance(style, jets, seed, shard_jets) | table)


def test_shards_cover_the_set(tmp_path: Path) -> None:
    shards = plan("hls4ml", 23, 1, 10, tmp_path, "hls4ml-3")
    assert [(s.start, s.jets) for s in shards] == [(0, 10), (10, 10), (20, 3)]


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> list[Jets]:
    """Two shards of seed 5 and the first of seed 6, made in this process, the last first."""
    folder = tmp_path_factory.mktemp("shards")
    planned = [
        *plan("hls4ml", 10, 5, 5, folder, "hls4ml-3"),
        replace(plan("hls4ml", 5, 6, 5, folder, "hls4ml-3")[0], path=folder / "x"),
    ]
    for shard in reversed(planned):
        make_shard(shard, lambda done: None)
    return [schema.read(shard.path) for shard in planned]


def test_the_file_does_not_depend_on_processes(tmp_path: Path, shards: list[Jets]) -> None:
    progress: list[int] = []
    generate(tmp_path / "jets.h5", 10, seed=5, backend=Processes(2), shard_jets=5, progress=progress.append)
    whole, parts = schema.read(tmp_path / "jets.h5"), concatenate(shards[:2])
    np.testing.assert_array_equal(whole.constituents, parts.constituents)
    np.testing.assert_array_equal(whole.offsets, parts.offsets)
    np.testing.assert_array_equal(whole.labels, parts.labels)
    np.testing.assert_array_equal(whole.jet_features, parts.jet_features)
    assert progress[-1] == 10
    assert [path.name for path in tmp_path.iterdir()] == ["jets.h5"]


def test_another_seed_or_shard_gives_other_jets(shards: list[Jets]) -> None:
    assert len({jets.constituents[:5].tobytes() for jets in shards}) == 3
    assert all(np.bincount(jets.labels).tolist() == [1, 1, 1, 1, 1] for jets in shards)


def test_finished_shards_are_not_made_again(tmp_path: Path, cheap: list[int]) -> None:
    generate(tmp_path / "whole.h5", 23, seed=1, shard_jets=10)
    folder = tmp_path / "jets.h5.parts"
    folder.mkdir()
    (folder / "parameters.json").write_text(parameters(23, 1, 10))
    schema.write(folder / "shard-000001.h5", example_jets(10, seed=2))
    (folder / ".shard-000002.h5.partial").write_text("half")
    (folder / "shard-000002.h5").write_text("damaged")
    (folder / "merged.partial").write_text("half")
    cheap.clear()
    outcome = generate(tmp_path / "jets.h5", 23, seed=1, shard_jets=10)
    assert cheap == [0, 2]
    assert outcome.reused == 10
    assert (tmp_path / "jets.h5").read_bytes() == (tmp_path / "whole.h5").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["jets.h5", "whole.h5"]


def test_shards_of_another_seed_are_refused(tmp_path: Path, cheap: list[int]) -> None:
    folder = tmp_path / "jets.h5.parts"
    folder.mkdir()
    (folder / "parameters.json").write_text(parameters(23, 1, 10))
    with pytest.raises(
        DataError, match=r"jets\.h5\.parts: was made with another 'seed' \(1 there, 2 asked for\)"
    ):
        generate(tmp_path / "jets.h5", 23, seed=2, shard_jets=10)
    assert cheap == []


def test_a_finished_file_is_kept(tmp_path: Path, cheap: list[int]) -> None:
    generate(tmp_path / "jets.h5", 23, seed=1, shard_jets=10)
    cheap.clear()
    assert generate(tmp_path / "jets.h5", 23, seed=1, shard_jets=10).reused == 23
    with pytest.raises(DataError, match=r"another 'jets' .*--overwrite"):
        generate(tmp_path / "jets.h5", 24, seed=1, shard_jets=10)
    assert cheap == []
    generate(tmp_path / "jets.h5", 24, seed=1, shard_jets=10, overwrite=True)
    assert len(schema.read(tmp_path / "jets.h5")) == 24


def test_a_file_of_another_kind_is_not_replaced(tmp_path: Path, cheap: list[int]) -> None:
    (tmp_path / "jets.h5").write_text("a letter")
    with pytest.raises(DataError, match="is not an HDF5 file"):
        generate(tmp_path / "jets.h5", 23, seed=1)
    assert (tmp_path / "jets.h5").read_text() == "a letter"


def test_normalisation_is_that_of_the_training_split(tmp_path: Path, cheap: list[int]) -> None:
    generate(tmp_path / "jets.h5", 57, seed=1, shard_jets=10)
    stored = schema.read(tmp_path / "jets.h5")
    assert stored.normalisation is not None
    training = stored.select(split_mask(57, "train"))
    np.testing.assert_allclose(stored.normalisation.mean, training.constituents.astype(float).mean(axis=0))
    again = training_normalisation(tmp_path / "jets.h5", int(stored.multiplicity.max()))
    np.testing.assert_allclose(stored.normalisation.std, again.std)


@pytest.mark.parametrize(
    ("change", "message"),
    (
        ({"jets": 0}, "jets: expected at least 1"),
        ({"seed": -1}, "seed: expected at least 0"),
        ({"features": "lhc"}, "features 'lhc': expected one of hls4ml-3"),
        ({"features": "lhc:FEATURES"}, "features 'lhc:FEATURES': cannot be imported"),
        ({"style": "lhc"}, "style 'lhc': expected one of hls4ml"),
    ),
)
def test_nonsense_is_refused(tmp_path: Path, change: dict, message: str) -> None:
    with pytest.raises(DataError, match=message):
        generate(**{"out": tmp_path / "jets.h5", "jets": 5, "seed": 1, **change})


@pytest.mark.parametrize("module", ("pythia8mc", "fastjet"))
def test_a_missing_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(
        MissingExtraError, match=rf"{module} is not installed.*pip install 'jetformer-data\[generate\]'"
    ):
        generate(tmp_path / "jets.h5", 5, seed=1)
