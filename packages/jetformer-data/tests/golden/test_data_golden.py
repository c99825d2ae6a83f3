"""Numbers that must never change, since stored files and published results depend on them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from jetformer_data import schema
from jetformer_data.hashing import permutation, splitmix64
from jetformer_data.splitting import split_mask
from jetformer_data.streaming import Stream, StreamOptions
from jetformer_data.testing import example_jets

VALIDATION = [0, 31, 39]
TEST = [23, 32, 36, 38]
ORDER = [3, 6, 0, 10, 2, 1, 8, 5, 4, 7, 9]
STREAM = [[14, 2, 12, 13, 1], [0, 18, 11, 19, 20], [10, 9, 5, 22, 3], [4, 21, 6, 7, 16], [17, 8, 15]]
LABELS = [4, 0, 1, 2, 3]
MULTIPLICITY = [71, 58, 33, 39, 46]


def test_hash_is_splitmix64() -> None:
    # First outputs of the reference generator (Steele, Lea, Flood 2014; Vigna's splitmix64.c) with state 0.
    state = np.array([0, 0x9E3779B97F4A7C15, 0x3C6EF372FE94F82A], np.uint64)
    assert [hex(v) for v in splitmix64(state)] == [
        "0xe220a8397b1dcdaf",
        "0x6e789e6aa1b965f4",
        "0x6c45d188009454f",
    ]


def test_orders_are_the_same_everywhere() -> None:
    assert permutation(11, 3, 5).tolist() == ORDER
    assert permutation(11, 5, 3).tolist() != ORDER


def test_the_order_of_a_stream_is_the_same_everywhere(tmp_path: Path) -> None:
    schema.write(tmp_path / "jets.h5", example_jets(23, seed=1))
    stream = Stream(tmp_path, StreamOptions(batch=5, block=3, window=2, seed=7))
    assert [batch.index.tolist() for batch in stream] == STREAM


def test_splits_of_the_first_jets() -> None:
    assert np.flatnonzero(split_mask(40, "validation")).tolist() == VALIDATION
    assert np.flatnonzero(split_mask(40, "test")).tolist() == TEST


def test_example_jets_are_the_same_each_time() -> None:
    jets = example_jets(5, seed=1)
    assert jets.labels.tolist() == LABELS
    assert jets.multiplicity.tolist() == MULTIPLICITY
