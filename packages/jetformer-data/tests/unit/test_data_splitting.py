"""Splits depend on the position of a jet and on nothing else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from jetformer_data import schema
from jetformer_data.errors import DataError
from jetformer_data.padding import padded
from jetformer_data.splitting import load, split_mask
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
