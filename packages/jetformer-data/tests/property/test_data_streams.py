"""What holds for any stream."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jetformer_data import schema
from jetformer_data.hashing import permutation
from jetformer_data.splitting import file_mask
from jetformer_data.streaming import Stream, StreamOptions
from jetformer_data.streaming.weighting import weight_table
from jetformer_data.testing import example_jets

SIZES = (47, 1, 83)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("streams")
    for number, size in enumerate(SIZES):
        schema.write(folder / f"{number}.h5", example_jets(size, seed=number, empty=number))
    return sorted(folder.iterdir())


options = st.builds(
    StreamOptions,
    batch=st.integers(2, 60),
    block=st.integers(1, 90),
    window=st.integers(1, 20),
    seed=st.integers(0, 2**63),
    split=st.sampled_from(["all", "train"]),
    shuffle=st.booleans(),
    stratified=st.booleans(),
    max_constituents=st.sampled_from([None, 3]),
)
any_stream = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


def chosen(files: list[Path], split: str, stratified: bool) -> list[int]:
    masks = []
    for path in files:
        with schema.Reader(path) as reader:
            masks.append(file_mask(reader, split, stratified=stratified))
    return [int(i) for i in np.flatnonzero(np.concatenate(masks))]


@any_stream
@given(options, st.integers(1, 5), st.integers(0, 3))
def test_every_jet_comes_once_an_epoch(
    files: list[Path], options: StreamOptions, ranks: int, epoch: int
) -> None:
    taken, batches = [], set()
    for rank in range(ranks):
        stream = Stream(files, replace(options, rank=rank, world_size=ranks), workers=0)
        stream.set_epoch(epoch)
        sizes = []
        for batch in stream:
            taken += batch.index.tolist()
            sizes.append(len(batch))
        assert 1 <= min(sizes) <= max(sizes) <= options.batch
        batches.add(len(sizes))
    assert sorted(taken) == chosen(files, options.split, options.stratified)
    assert len(batches) == 1


@any_stream
@given(options, st.integers(1, 4), st.data())
def test_neither_workers_nor_a_stop_matter(
    files: list[Path], options: StreamOptions, workers: int, data: st.DataObject
) -> None:
    table = weight_table(files, split="all")
    options = replace(options, weights=table, resample=data.draw(st.sampled_from([0.0, 1.3])))
    plain = list(Stream(files, options, workers=0))
    stop = data.draw(st.integers(0, len(plain)))
    stopped = Stream(files, options, workers=workers)
    before = []
    for batch in stopped:
        if len(before) == stop:
            break
        before.append(batch)
        state = json.loads(json.dumps(stopped.state_dict()))
    resumed = Stream(files, options, workers=workers)
    if stop:
        resumed.load_state_dict(state)
    for one, two in zip(plain, [*before, *resumed], strict=True):
        np.testing.assert_array_equal(one.index, two.index)
        np.testing.assert_array_equal(one.constituents, two.constituents)
        np.testing.assert_array_equal(one.offsets, two.offsets)


@any_stream
@given(st.integers(1, 80), st.integers(1, 80), st.integers(0, 9))
def test_jets_keep_their_split_when_jets_are_appended(
    tmp_path_factory: pytest.TempPathFactory, first: int, more: int, seed: int
) -> None:
    folder = tmp_path_factory.mktemp("appended")
    jets = example_jets(first + more, seed=seed)
    jets = replace(jets, groups=np.random.default_rng(seed).integers(40, size=len(jets)))
    schema.write(folder / "short.h5", jets.select(np.arange(first)))
    schema.write(folder / "long.h5", jets)
    masks = []
    for name in ("short", "long"):
        with schema.Reader(folder / f"{name}.h5") as reader:
            masks.append(file_mask(reader, "train"))
    np.testing.assert_array_equal(masks[0], masks[1][:first])


@given(st.integers(0, 2**60), st.integers(0, 2**60))
def test_seeds_give_other_orders(one: int, two: int) -> None:
    assert (permutation(53, one).tolist() == permutation(53, two).tolist()) == (one == two)
    assert sorted(permutation(53, one)) == list(range(53))
