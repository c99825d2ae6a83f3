"""Splits depend on the position of a jet and on nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from jetformer_data import schema
from jetformer_data.errors import DataError
from jetformer_data.padding import padded
from jetformer_data.splitting import file_mask, load, split_mask
from jetformer_data.testing import example_jets

NAMES = ("train", "validation", "test")


def test_each_jet_is_in_one_split() -> None:
    assert (sum(split_mask(1009, name).astype(int) for name in NAMES) == 1).all()
    assert split_mask(1009, "all").all()


def test_shares_are_the_fractions() -> None:
    shares = [split_mask(50_000, name, (0.5, 0.2, 0.3)).mean() for name in NAMES]
    # Five binomial deviations.
    np.testing.assert_allclose(shares, [0.5, 0.2, 0.3], atol=0.011)


def test_more_jets_change_nothing() -> None:
    np.testing.assert_array_equal(split_mask(100, "test"), split_mask(1000, "test")[:100])
    np.testing.assert_array_equal(split_mask(1000, "test", start=90), split_mask(1000, "test")[90:])


def test_empty_splits_are_possible() -> None:
    assert not split_mask(1000, "validation", (0.5, 0.0, 0.5)).any()
    assert split_mask(1000, "train", (1.0, 0.0, 0.0)).all()


@pytest.mark.parametrize("fractions", ((0.8, 0.1), (0.8, 0.3, -0.1), (0.8, 0.1, 0.2)))
def test_fractions_make_sense(fractions: tuple[float, ...]) -> None:
    with pytest.raises(DataError, match="three numbers"):
        split_mask(10, "train", fractions)


def test_an_unknown_split_is_named() -> None:
    with pytest.raises(DataError, match="split 'valid': expected one of train"):
        split_mask(10, "valid")


@pytest.mark.parametrize("split", NAMES)
def test_load_pads_the_jets_of_a_split(tmp_path: Path, split: str) -> None:
    jets = example_jets(211, seed=5)
    schema.write(tmp_path / "jets.h5", jets)
    loaded = load(tmp_path / "jets.h5", split, 5, ("etarel", "pt"), min_pt=2.0)
    chosen = jets.select(split_mask(211, split))
    x, mask = padded(chosen, 5, ("etarel", "pt"), min_pt=2.0)
    np.testing.assert_array_equal(loaded.x, x)
    np.testing.assert_array_equal(loaded.mask, mask)
    np.testing.assert_array_equal(loaded.labels, chosen.labels)
    assert (loaded.feature_names, loaded.feature_units) == (("etarel", "pt"), ("1", "GeV"))
    assert loaded.class_names == ("g", "q", "W", "Z", "t")
    assert len(loaded) == len(chosen)


def grouped(path: Path, jets: int, groups: np.ndarray, labels: np.ndarray | None = None) -> Path:
    made = example_jets(jets, seed=7)
    schema.write(path, replace(made, groups=groups, labels=made.labels if labels is None else labels))
    return path


def test_jets_of_a_group_are_never_split(tmp_path: Path) -> None:
    groups = np.random.default_rng(1).permutation(np.arange(302) // 2)
    with schema.Reader(grouped(tmp_path / "jets.h5", 302, groups)) as reader:
        masks = np.array([file_mask(reader, name) for name in NAMES])
    assert (masks.sum(axis=0) == 1).all()
    assert masks.any(axis=1).all()
    split = masks.argmax(axis=0)
    for group in range(151):
        assert len(set(split[groups == group])) == 1
    np.testing.assert_array_equal(masks[0], split_mask(302, "train", groups=groups))
    # which is not the split by position
    assert (masks[0] != split_mask(302, "train")).any()


def test_load_follows_the_groups(tmp_path: Path) -> None:
    groups = np.arange(101)[::-1].copy()
    path = grouped(tmp_path / "jets.h5", 101, groups)
    jets = schema.read(path)
    chosen = jets.select(split_mask(101, "test")[groups])
    np.testing.assert_array_equal(load(path, "test", 3).x, padded(chosen, 3)[0])


def test_a_file_without_groups_is_split_by_position(tmp_path: Path) -> None:
    schema.write(tmp_path / "jets.h5", example_jets(101, seed=7))
    with schema.Reader(tmp_path / "jets.h5") as reader:
        np.testing.assert_array_equal(file_mask(reader, "validation"), split_mask(101, "validation"))
        assert file_mask(reader, "all", stratified=True).all()


def test_stratified_fractions_are_exact_in_each_class(tmp_path: Path) -> None:
    labels = np.repeat([0, 1, 2, 3], [100, 37, 3, 61])
    schema.write(tmp_path / "jets.h5", replace(example_jets(201, seed=7), labels=labels))
    fractions = (0.5, 0.3, 0.2)
    with schema.Reader(tmp_path / "jets.h5") as reader:
        masks = [file_mask(reader, name, fractions, stratified=True) for name in NAMES]
    assert (np.sum(masks, axis=0) == 1).all()
    counts = [[int(mask[labels == label].sum()) for label in range(4)] for mask in masks]
    # 18.5 and 30.5 are rounded to even numbers
    assert counts == [[50, 18, 2, 30], [30, 12, 0, 19], [20, 7, 1, 12]]


def test_stratified_splits_keep_groups_of_one_class_whole(tmp_path: Path) -> None:
    groups = np.arange(200) // 2
    labels = groups % 5
    with schema.Reader(grouped(tmp_path / "jets.h5", 200, groups, labels)) as reader:
        masks = np.array([file_mask(reader, name, stratified=True) for name in NAMES])
    assert [int(mask.sum()) for mask in masks] == [160, 20, 20]
    assert (masks[:, ::2] == masks[:, 1::2]).all()
    mixed = grouped(tmp_path / "mixed.h5", 200, groups, np.arange(200) % 5)
    with schema.Reader(mixed) as reader, pytest.raises(DataError, match=r"mixed\.h5.*several classes"):
        file_mask(reader, "train", stratified=True)
