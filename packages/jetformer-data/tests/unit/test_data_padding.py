"""The padded view, by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from jetformer_data.errors import DataError, SchemaError
from jetformer_data.jets import Jets
from jetformer_data.padding import padded
from jetformer_data.testing import example_jets


@pytest.fixture
def jets() -> Jets:
    """Three jets of 3, 0 and 2 constituents."""
    return Jets(
        constituents=np.array([[9, 1, 10], [5, 2, 20], [1, 3, 30], [7, 4, 40], [3, 5, 50]], np.float32),
        offsets=np.array([0, 3, 3, 5]),
        labels=np.array([0, 1, 0]),
        feature_names=("pt", "etarel", "phirel"),
        feature_units=("GeV", "1", "rad"),
        class_names=("a", "b"),
    )


def test_first_constituents_are_kept(jets: Jets) -> None:
    x, mask = padded(jets, 2)
    assert x.dtype == np.float32
    assert mask.dtype == bool
    assert mask.tolist() == [[True, True], [False, False], [True, True]]
    assert x.tolist() == [[[9, 1, 10], [5, 2, 20]], [[0, 0, 0], [0, 0, 0]], [[7, 4, 40], [3, 5, 50]]]


def test_padding_is_zero_and_masked(jets: Jets) -> None:
    x, mask = padded(jets, 4, features=("phirel",))
    assert x[..., 0].tolist() == [[10, 20, 30, 0], [0, 0, 0, 0], [40, 50, 0, 0]]
    assert mask.sum(axis=1).tolist() == [3, 0, 2]


def test_soft_constituents_are_dropped_before_the_first_are_taken(jets: Jets) -> None:
    # Rows need not be sorted here: what is dropped lies first in the first jet.
    turned = replace(jets, constituents=jets.constituents[[2, 0, 1, 3, 4]])
    x, mask = padded(turned, 2, features=("pt",), min_pt=3.0)
    assert x[..., 0].tolist() == [[9, 5], [0, 0], [7, 3]]
    assert mask.tolist() == [[True, True], [False, False], [True, True]]
    x, mask = padded(turned, 2, features=("pt",), min_pt=6.0)
    assert x[..., 0].tolist() == [[9, 0], [0, 0], [7, 0]]


def test_the_cut_needs_no_pt_among_the_chosen_features(jets: Jets) -> None:
    x, _ = padded(jets, 1, features=("etarel",), min_pt=8.0)
    assert x[..., 0].tolist() == [[1], [0], [0]]


def test_features_come_in_the_order_asked_for(jets: Jets) -> None:
    x, _ = padded(jets, 1, features=("phirel", "pt"))
    assert x[0].tolist() == [[10, 9]]


def test_an_unknown_feature_is_named(jets: Jets) -> None:
    with pytest.raises(
        SchemaError, match=r"feature 'charge': not among the stored features \(pt, etarel, phirel\)"
    ):
        padded(jets, 2, features=("pt", "charge"))


def test_at_least_one_constituent(jets: Jets) -> None:
    with pytest.raises(DataError, match="at least 1, got 0"):
        padded(jets, 0)


def test_no_jets() -> None:
    x, mask = padded(example_jets(5, seed=1).select(np.arange(0)), 3)
    assert x.shape == (0, 3, 3)
    assert mask.shape == (0, 3)
