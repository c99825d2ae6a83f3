"""Weights make spectra flat and classes equal, and are kept as JSON."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from jetformer_data import schema
from jetformer_data.errors import DataError, SchemaError
from jetformer_data.jets import Jets
from jetformer_data.splitting import split_mask
from jetformer_data.streaming import Stream, StreamOptions
from jetformer_data.streaming.weighting import WeightTable, weight_table
from jetformer_data.testing import example_jets

PT = (500.0, 600.0, 700.0, 850.0, 1000.0)
ETA = (-2.0, -0.5, 0.5, 2.0)
JETS = 6007


@pytest.fixture(scope="module")
def jets() -> Jets:
    """Classes of 8:4:2:1:1 jets with spectra that fall with another slope in each; some jets lie outside the bins."""
    jets, rng = example_jets(JETS, seed=3), np.random.default_rng(4)
    labels = rng.choice(5, size=JETS, p=np.array([8, 4, 2, 1, 1]) / 16)
    assert jets.jet_features is not None
    values = jets.jet_features.copy()
    values[:, 0] = 480 + 120 * (1 + 0.3 * labels) * rng.exponential(size=JETS)
    values[:, 1] = rng.normal(scale=1.0, size=JETS)
    return replace(jets, labels=labels, jet_features=values)


@pytest.fixture(scope="module")
def files(jets: Jets, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weighed")
    schema.write(folder / "a.h5", jets.select(np.arange(0, 2003)))
    schema.write(folder / "b.h5", jets.select(np.arange(2003, JETS)))
    return folder


def contents(jets: Jets, weights: np.ndarray) -> np.ndarray:
    """Sums of weights [classes, pt bins, eta bins]."""
    sample = np.stack([jets.labels, jets.jet_column("jet_pt"), jets.jet_column("jet_eta")], axis=1)
    return np.histogramdd(sample, (np.arange(6) - 0.5, PT, ETA), weights=weights)[0]


def test_by_hand(tmp_path: Path) -> None:
    jets = example_jets(9, seed=1)
    assert jets.jet_features is not None
    values = jets.jet_features.copy()
    values[:, 0] = [1, 1, 1, 1, 3, 3, 9, 1, 3]
    labels = np.array([0, 0, 0, 0, 0, 0, 0, 1, 1])
    schema.write(tmp_path / "jets.h5", replace(jets, labels=labels, jet_features=values))
    table = weight_table(tmp_path / "jets.h5", {"jet_pt": (0, 2, 4)}, split="all", percentile=0)
    # Class 0 has 4 and 2 jets in the bins, thinned to 2 and 2; class 1 has 1 and 1. Sums of 4 and 2 become equal.
    np.testing.assert_allclose(table.weights[:2], [[0.25, 0.5], [1, 1]])
    assert (table.weights[2:] == 0).all()
    assert table.of(labels[5:], values[5:, :1]).tolist() == [0.5, 0, 1, 1]
    table = weight_table(tmp_path / "jets.h5", split="all", class_weights={jets.class_names[1]: 3})
    # 7 and 2 jets, wanted 1:3.
    np.testing.assert_allclose(table.weights[:2], [2 / 21, 1])


def test_spectra_become_flat_and_classes_equal(files: Path, jets: Jets) -> None:
    table = weight_table(files, {"jet_pt": PT, "jet_eta": ETA}, split="all", percentile=0)
    weights = table.of(jets.labels, jets.jet_features[:, [0, 1]])  # type: ignore[index]
    assert weights.max() == 1
    flat = contents(jets, weights.astype(float))
    assert contents(jets, np.ones(JETS)).min() > 0
    np.testing.assert_allclose(flat, np.full(flat.shape, flat.mean()), rtol=1e-5)
    outside = (jets.jet_column("jet_pt") < 500) | (np.abs(jets.jet_column("jet_eta")) > 2)
    assert outside.any()
    assert (weights[outside] == 0).all()


def test_nearly_empty_bins_are_not_blown_up(files: Path, jets: Jets) -> None:
    table = weight_table(files, {"jet_pt": PT, "jet_eta": ETA}, split="all", percentile=50)
    counts = contents(jets, np.ones(JETS))
    for label in range(5):
        reference = np.percentile(counts[label], 50)
        poor = counts[label] <= reference
        assert poor.sum() >= 6
        # each jet there has the same weight, the largest of its class
        np.testing.assert_allclose(table.weights[label][poor], table.weights[label].max())
    sums = (table.weights * counts).sum(axis=(1, 2))
    np.testing.assert_allclose(sums, sums[0])


def test_classes_get_the_wanted_ratio(files: Path, jets: Jets) -> None:
    wanted = {"g": 2.0, "t": 0.5, "q": 0.0}
    table = weight_table(files, {"jet_eta": ETA}, wanted, split="all")
    weights = table.of(jets.labels, jets.jet_features[:, [1]])  # type: ignore[index]
    sums = np.bincount(jets.labels, weights, minlength=5)
    np.testing.assert_allclose(sums / sums[2], [2, 0, 1, 1, 0.5], rtol=1e-5)


def test_only_the_training_split_is_counted(files: Path, jets: Jets) -> None:
    train = np.concatenate([split_mask(2003, "train"), split_mask(JETS - 2003, "train")])
    expected = np.bincount(jets.labels[train])
    table = weight_table(files)
    np.testing.assert_allclose(table.weights, expected.min() / expected)


def test_a_resampled_stream_is_flat(files: Path, jets: Jets) -> None:
    table = weight_table(files, {"jet_pt": PT, "jet_eta": ETA}, split="all", percentile=0)
    stream = Stream(files, StreamOptions(weights=table, resample=1.0, seed=7))
    taken = np.zeros(JETS)
    for _ in range(40):
        for batch in stream:
            taken += np.bincount(batch.index, minlength=JETS)
    assert taken.max() == 40
    flat = contents(jets, taken)
    mean = contents(jets, 40 * table.of(jets.labels, jets.jet_features[:, [0, 1]]).astype(float)).mean()  # type: ignore[index]
    assert mean > 100
    np.testing.assert_allclose(flat, np.full(flat.shape, mean), atol=5 * np.sqrt(mean))


def test_tables_are_kept_as_json(files: Path, tmp_path: Path) -> None:
    table = weight_table(files, {"jet_pt": PT, "jet_eta": ETA})
    table.save(tmp_path / "weights.json")
    again = WeightTable.load(tmp_path / "weights.json")
    assert again.to_dict() == table.to_dict() == json.loads((tmp_path / "weights.json").read_text())
    np.testing.assert_array_equal(again.weights, table.weights)
    assert [path.name for path in tmp_path.iterdir()] == ["weights.json"]


@pytest.mark.parametrize(
    ("text", "reason"),
    (
        ("[", "is not a table of weights"),
        ("[]", "is not a table of weights"),
        ('{"format": "other"}', "its format is other"),
        (
            '{"format": "jetformer-weights", "class_names": ["a"], "variables": {}, "weights": [1, 1]}',
            "shape",
        ),
        (
            '{"format": "jetformer-weights", "class_names": ["a"], "variables": {}, "weights": [-1]}',
            "negative",
        ),
    ),
)
def test_other_files_are_refused(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "weights.json").write_text(text)
    with pytest.raises(DataError, match=rf"weights\.json: .*{reason}"):
        WeightTable.load(tmp_path / "weights.json")


def test_requests_make_sense(files: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"absent\.json: cannot be read"):
        WeightTable.load(tmp_path / "absent.json")
    with pytest.raises(DataError, match="edges of 'jet_pt': expected two or more rising numbers"):
        weight_table(files, {"jet_pt": (1, 1)})
    with pytest.raises(SchemaError, match="feature 'jet_tau1': not among"):
        weight_table(files, {"jet_tau1": (0, 1)})
    with pytest.raises(DataError, match="class 'H': not among the classes"):
        weight_table(files, class_weights={"H": 1})
    with pytest.raises(DataError, match="no jets lie inside the bins"):
        weight_table(files, {"jet_pt": (1e6, 2e6)})
    schema.write(tmp_path / "other.h5", replace(example_jets(5), class_names=("a", "b", "c", "d", "e")))
    with pytest.raises(DataError, match=r"other\.h5: its classes are a, b"):
        weight_table([files / "a.h5", tmp_path / "other.h5"])
