"""Streamed statistics equal those of all values at once, and padding never counts."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from jetformer_data import schema
from jetformer_data.errors import DataError
from jetformer_data.jets import Normalisation
from jetformer_data.padding import padded
from jetformer_data.splitting import split_mask
from jetformer_data.statistics import Welford, normalise, training_normalisation, training_statistics
from jetformer_data.testing import example_jets


def test_blocks_equal_the_whole() -> None:
    values = np.random.default_rng(1).normal([5, -2e6], [3, 0.1], size=(997, 2))
    welford = Welford(2)
    for block in np.array_split(values, [1, 1, 50, 700]):
        welford.update(block)
    assert welford.count == 997
    np.testing.assert_allclose(welford.mean, values.mean(axis=0), rtol=1e-12)
    # A deviation of 0.1 around -2e6: a sum of squares would keep no digit of it.
    np.testing.assert_allclose(welford.std, values.std(axis=0), rtol=1e-6)


def test_merged_halves_equal_the_whole() -> None:
    values = np.random.default_rng(2).exponential(size=(101, 3))
    merged = Welford(3).update(values[:17]).merge(Welford(3).update(values[17:])).merge(Welford(3))
    np.testing.assert_allclose(merged.mean, values.mean(axis=0))
    np.testing.assert_allclose(merged.std, values.std(axis=0))


def test_padding_does_not_count() -> None:
    x = np.array([[[4.0], [6.0], [1e9]], [[8.0], [np.nan], [0.0]]])
    mask = np.array([[True, True, False], [True, False, False]])
    welford = Welford(1).update(x, mask)
    assert welford.count == 3
    assert welford.mean[0] == 6.0
    assert welford.std[0] == pytest.approx(np.std([4, 6, 8]))


def test_only_the_training_split_counts_with_its_cuts(tmp_path: Path) -> None:
    jets = example_jets(301, seed=3, empty=2)
    schema.write(tmp_path / "jets.h5", jets)
    found = training_normalisation(tmp_path / "jets.h5", 7, ("phirel", "pt"), min_pt=2.0)
    training = jets.select(split_mask(301, "train"))
    x, mask = padded(training, 7, ("phirel", "pt"), min_pt=2.0)
    np.testing.assert_allclose(found.mean, x[mask].astype(float).mean(axis=0))
    np.testing.assert_allclose(found.std, x[mask].astype(float).std(axis=0))


def test_several_files_count_as_one(tmp_path: Path) -> None:
    parts = [example_jets(n, seed=n) for n in (101, 1, 53)]
    training = []
    for number, jets in enumerate(parts):
        schema.write(tmp_path / f"{number}.h5", jets)
        training.append(jets.select(split_mask(len(jets), "train")).constituents)
    rows = np.concatenate(training).astype(float)
    found = training_normalisation(tmp_path, None)
    np.testing.assert_allclose(found.mean, rows.mean(axis=0), atol=1e-9)
    np.testing.assert_allclose(found.std, rows.std(axis=0))
    # the same from shards that were looked at apart, by way of JSON
    merged = Welford(3)
    for number in (2, 0, 1):
        state = json.dumps(training_statistics(tmp_path / f"{number}.h5", None).to_dict())
        merged.merge(Welford.from_dict(json.loads(state)))
    np.testing.assert_allclose(merged.normalisation().mean, found.mean, atol=1e-9)
    np.testing.assert_allclose(merged.normalisation().std, found.std)
    assert merged.least.tolist() == rows.min(axis=0).tolist()
    assert merged.most.tolist() == rows.max(axis=0).tolist()
    assert merged.count == len(rows)


def test_a_constant_feature_is_divided_by_one() -> None:
    constants = Welford(1).update(np.full((3, 1), 4.0)).normalisation()
    assert constants.mean.tolist() == [4.0]
    assert constants.std.tolist() == [1.0]


def test_nothing_seen_is_an_error() -> None:
    with pytest.raises(DataError, match="no real constituents"):
        Welford(2).normalisation()


def test_normalise_is_float64_arithmetic_rounded_once() -> None:
    x = np.array([[[1000.0001, 1.0], [7.0, 7.0]]], np.float32)
    mask = np.array([[True, False]])
    constants = Normalisation(np.array([999.9, 0.0]), np.array([3.0, 0.5]))
    result = normalise(x, mask, constants)
    assert result.dtype == np.float32
    assert result[0, 0, 0] == np.float32((float(np.float32(1000.0001)) - 999.9) / 3.0)
    assert result[0, 0, 1] == 2.0
    assert result[0, 1].tolist() == [0.0, 0.0]
