"""Streams of batches, against the jets of the files themselves."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from jetformer_data import schema
from jetformer_data.errors import DataError, SchemaError
from jetformer_data.jets import Jets, Normalisation, concatenate
from jetformer_data.padding import padded
from jetformer_data.scaling import normalise
from jetformer_data.splitting import file_mask
from jetformer_data.streaming import Batch, Stream, StreamOptions
from jetformer_data.streaming.weighting import WeightTable
from jetformer_data.testing import example_jets

SIZES = (101, 53, 211)
SMALL = StreamOptions(batch=11, block=7, window=3, seed=5)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shards")
    for number, size in enumerate(SIZES):
        jets = example_jets(size, seed=number + 1, empty=number)
        constants = Normalisation(np.array([20.0, 0.0, 0.1]), np.array([7.0, 0.3, 0.11]))
        schema.write(folder / f"shard-{number}.h5", replace(jets, normalisation=constants))
    return folder


@pytest.fixture(scope="module")
def whole(folder: Path) -> Jets:
    return concatenate([schema.read(path) for path in sorted(folder.glob("*.h5"))])


def indices(batches: Sequence[Batch]) -> list[int]:
    return [int(i) for batch in batches for i in batch.index]


def digest(batches: Sequence[Batch]) -> list[tuple[bytes, ...]]:
    return [
        (b.constituents.tobytes(), b.offsets.tobytes(), b.labels.tobytes(), b.index.tobytes())
        for b in batches
    ]


def test_batches_hold_the_jets_of_the_files(folder: Path, whole: Jets) -> None:
    stream = Stream(folder, replace(SMALL, jet_features=("jet_mass", "jet_pt")))
    batches = list(stream)
    assert sorted(indices(batches)) == list(range(sum(SIZES)))
    assert indices(batches) != sorted(indices(batches))
    for batch in batches:
        chosen = whole.select(batch.index)
        np.testing.assert_array_equal(batch.constituents, chosen.constituents)
        np.testing.assert_array_equal(batch.offsets, chosen.offsets)
        np.testing.assert_array_equal(batch.labels, chosen.labels)
        np.testing.assert_array_equal(batch.jet_features[:, 0], chosen.jet_column("jet_mass"))
        np.testing.assert_array_equal(batch.jet_features[:, 1], chosen.jet_column("jet_pt"))
        assert batch.weights is None
    assert [len(batch) for batch in batches] == [11] * 33 + [2]
    assert len(stream) == 34
    assert (stream.feature_names, stream.class_names) == (whole.feature_names, whole.class_names)


def test_without_shuffling_jets_come_in_the_order_of_the_files(folder: Path) -> None:
    assert indices(list(Stream(folder, replace(SMALL, shuffle=False)))) == list(range(sum(SIZES)))


@pytest.mark.parametrize("features", (("phirel", "pt", "etarel"), ("pt", "etarel", "phirel"), ("etarel",)))
@pytest.mark.parametrize("min_pt", (0.0, 3.0))
@pytest.mark.parametrize("most", (None, 5))
def test_cuts_are_those_of_the_padded_view(
    folder: Path, whole: Jets, features: tuple[str, ...], min_pt: float, most: int | None
) -> None:
    columns = [whole.feature_names.index(name) for name in features]
    stored = Normalisation(np.array([20.0, 0.0, 0.1])[columns], np.array([7.0, 0.3, 0.11])[columns])
    cuts = replace(SMALL, features=features, min_pt=min_pt, max_constituents=most)
    for batch, normal in zip(
        Stream(folder, cuts), Stream(folder, replace(cuts, normalise=True)), strict=True
    ):
        x, mask = padded(whole.select(batch.index), most or 97, features, min_pt)
        np.testing.assert_array_equal(batch.constituents, x[mask])
        np.testing.assert_array_equal(np.diff(batch.offsets), mask.sum(axis=1))
        np.testing.assert_array_equal(normal.constituents, normalise(x, mask, stored)[mask])
        for jets in (3, most or 97):
            dense, real = batch.dense(jets)
            np.testing.assert_array_equal(real, mask[:, :jets])
            np.testing.assert_array_equal(dense, x[:, :jets])


def test_given_constants_belong_to_the_chosen_features(folder: Path) -> None:
    constants = Normalisation(np.array([3.0, 1.0]), np.array([0.5, 2.0]))
    options = replace(SMALL, features=("phirel", "pt"))
    (plain, *_), (normal, *_) = Stream(folder, options), Stream(folder, replace(options, normalise=constants))
    expected = (plain.constituents.astype(float) - [3, 1]) / [0.5, 2]
    np.testing.assert_array_equal(normal.constituents, expected.astype(np.float32))
    with pytest.raises(DataError, match="2 constants for 3 features"):
        Stream(folder, replace(SMALL, normalise=constants))


@pytest.mark.parametrize("stratified", (False, True))
@pytest.mark.parametrize("grouped", (False, True))
def test_splits_are_those_of_the_files(tmp_path: Path, stratified: bool, grouped: bool) -> None:
    for number, size in enumerate(SIZES):
        jets = example_jets(size, seed=number)
        if grouped:
            # seven jets of each class make a group
            jets = replace(jets, groups=jets.labels + 5 * (np.arange(size) // 35))
        schema.write(tmp_path / f"{number}.h5", jets)
    seen = []
    for split in ("train", "validation", "test"):
        options = replace(SMALL, split=split, fractions=(0.5, 0.2, 0.3), stratified=stratified)
        expected, first = [], 0
        for number, size in enumerate(SIZES):
            with schema.Reader(tmp_path / f"{number}.h5") as reader:
                mask = file_mask(reader, split, options.fractions, stratified)
            expected += (first + np.flatnonzero(mask)).tolist()
            first += size
        assert sorted(indices(list(Stream(tmp_path, options)))) == expected
        seen += expected
    assert sorted(seen) == list(range(sum(SIZES)))


def test_workers_do_not_matter(folder: Path) -> None:
    expected = digest(list(Stream(folder, SMALL, workers=0)))
    for workers in (1, 2, 4):
        assert digest(list(Stream(folder, SMALL, workers=workers))) == expected


def test_seeds_and_epochs_differ_and_come_again(folder: Path) -> None:
    stream = Stream(folder, SMALL)
    first, second = digest(list(stream)), digest(list(stream))
    assert stream.epoch == 2
    assert first != second
    assert digest(list(Stream(folder, replace(SMALL, seed=6)))) != first
    stream.set_epoch(0)
    assert digest(list(stream)) == first
    assert digest(list(stream)) == second


def test_a_stream_goes_on_from_any_batch(folder: Path) -> None:
    options = replace(SMALL, split="train")
    complete = Stream(folder, options)
    batches, states = [], [complete.state_dict()]
    for batch in complete:
        batches.append(batch)
        states.append(complete.state_dict())
    second = digest(list(complete))
    expected = digest(batches)
    for done, state in enumerate(states):
        stream = Stream(folder, options, workers=done % 3)
        stream.load_state_dict(json.loads(json.dumps(state)))
        assert digest(list(stream)) == expected[done:]
        if done % 7 == 0:
            assert digest(list(stream)) == second


def test_a_loop_that_was_left_goes_on(folder: Path) -> None:
    stream, expected = Stream(folder, SMALL), digest(list(Stream(folder, SMALL)))
    for _ in stream:
        break
    assert digest(list(stream)) == expected[1:]


def test_a_state_of_another_stream_is_refused(folder: Path, tmp_path: Path) -> None:
    state = Stream(folder, SMALL).state_dict()
    with pytest.raises(DataError, match="the stream was at 'seed' 5, not 6"):
        Stream(folder, replace(SMALL, seed=6)).load_state_dict(state)
    tables = [WeightTable(("g", "q", "W", "Z", "t"), (), (), np.array([1, 1, 1, 1, w])) for w in (0.5, 0.6)]
    weighted = [Stream(folder, replace(SMALL, weights=table)) for table in tables]
    with pytest.raises(DataError, match="the stream was at 'weights'"):
        weighted[0].load_state_dict(weighted[1].state_dict())
    weighted[1].load_state_dict(weighted[1].state_dict())
    with pytest.raises(DataError, match="over other files"):
        Stream(folder / "shard-0.h5", SMALL).load_state_dict(state)
    with pytest.raises(DataError, match="not the state of a stream"):
        Stream(folder, SMALL).load_state_dict({"epoch": 1})
    with pytest.raises(DataError, match="the epoch has 34 batches, not 35"):
        Stream(folder, SMALL).load_state_dict(state | {"batch": 35})


@pytest.mark.parametrize("world_size", (1, 2, 3, 8))
@pytest.mark.parametrize("batch", (11, 73, 365))
def test_ranks_share_the_jets(folder: Path, world_size: int, batch: int) -> None:
    options = replace(SMALL, batch=batch, world_size=world_size)
    ranks = [list(Stream(folder, replace(options, rank=rank))) for rank in range(world_size)]
    assert sorted(index for rank in ranks for index in indices(rank)) == list(range(sum(SIZES)))
    assert len({len(rank) for rank in ranks}) == 1
    assert all(0 < len(b) <= batch for rank in ranks for b in rank)
    assert max(len(indices(rank)) for rank in ranks) - min(len(indices(rank)) for rank in ranks) <= 1


def test_only_full_batches(folder: Path) -> None:
    options = replace(SMALL, world_size=3, drop_last=True)
    ranks = [list(Stream(folder, replace(options, rank=rank))) for rank in range(3)]
    assert [[len(batch) for batch in rank] for rank in ranks] == [[11] * 11] * 3
    taken = [index for rank in ranks for index in indices(rank)]
    assert len(set(taken)) == len(taken)
    with pytest.raises(DataError, match="365 jets in the split 'all', too few for a full batch"):
        list(Stream(folder, replace(options, batch=122)))


def test_one_jet_more_on_a_rank_makes_no_batch_more(tmp_path: Path) -> None:
    schema.write(tmp_path / "jets.h5", example_jets(23, seed=1))
    options = replace(SMALL, world_size=2, batch=11)
    sizes = [[len(b) for b in Stream(tmp_path, replace(options, rank=rank))] for rank in (0, 1)]
    assert sizes == [[10, 1], [11, 1]]
    options = replace(options, batch=6, drop_last=True)
    sizes = [[len(b) for b in Stream(tmp_path, replace(options, rank=rank))] for rank in (0, 1)]
    assert sizes == [[6], [6]]


def test_too_few_jets(tmp_path: Path) -> None:
    schema.write(tmp_path / "jets.h5", example_jets(3, seed=1))
    with pytest.raises(DataError, match="3 jets in the split 'all', too few for 4 ranks"):
        len(Stream(tmp_path, replace(SMALL, world_size=4)))


@pytest.mark.parametrize("split", ("all", "train"))
def test_no_jets_make_no_batches(folder: Path, tmp_path: Path, split: str) -> None:
    schema.write(tmp_path / "empty.h5", example_jets(3, seed=1).select(np.arange(0)))
    options = replace(SMALL, split=split, features=("pt",))
    assert list(Stream(tmp_path, options)) == []
    assert list(Stream(folder, replace(options, split="test", fractions=(1.0, 0.0, 0.0)))) == []
    alone = Stream([folder / "shard-1.h5"], options)
    among = Stream([tmp_path / "empty.h5", folder / "shard-1.h5"], options)
    assert sorted(indices(list(among))) == sorted(indices(list(alone)))


@pytest.mark.parametrize("kind", ("compressed", "contiguous", "narrow chunks"))
def test_files_of_other_programs_give_the_same(folder: Path, tmp_path: Path, kind: str) -> None:
    expected = digest(list(Stream(folder, SMALL)))
    for path in folder.glob("*.h5"):
        with h5py.File(path) as old, h5py.File(tmp_path / path.name, "w") as new:
            new.attrs.update(old.attrs)
            for name, dataset in old.items():
                wide = {"chunks": (10, 2) if dataset.ndim == 2 else (10,)} if kind == "narrow chunks" else {}
                if kind == "compressed":
                    wide = {"compression": "gzip", "chunks": (50, *dataset.shape[1:])}
                new.create_dataset(name, data=dataset[:], **wide)
    assert digest(list(Stream(tmp_path, SMALL))) == expected


def test_files_are_found(folder: Path, whole: Jets) -> None:
    for paths in (
        str(folder / "*.h5"),
        [folder / "shard-0.h5", folder / "shard-[12].h5"],
        sorted(folder.iterdir()),
    ):
        assert len(indices(list(Stream(paths, SMALL)))) == len(whole)
    with pytest.raises(DataError, match="no files of jets are there"):
        Stream(folder / "*.hdf5")
    with pytest.raises(DataError, match="no files of jets were given"):
        Stream([])
    with pytest.raises(SchemaError, match=r"absent\.h5: there is no such file"):
        Stream(folder / "absent.h5")


def test_files_must_be_alike(folder: Path, tmp_path: Path) -> None:
    jets = example_jets(5, seed=1)
    schema.write(tmp_path / "renamed.h5", replace(jets, class_names=("a", "b", "c", "d", "e")))
    with pytest.raises(
        SchemaError, match=r"renamed\.h5: 'class_names' are a, b, c, d, e; those of .*shard-0"
    ):
        Stream([folder / "shard-0.h5", tmp_path / "renamed.h5"])
    schema.write(tmp_path / "plain.h5", jets)
    with pytest.raises(DataError, match=r"plain\.h5: has another normalisation"):
        Stream([folder / "shard-0.h5", tmp_path / "plain.h5"], replace(SMALL, normalise=True))
    with pytest.raises(DataError, match=r"plain\.h5: holds no normalisation"):
        Stream(tmp_path / "plain.h5", replace(SMALL, normalise=True))
    with pytest.raises(SchemaError, match="feature 'charge': not among"):
        Stream(folder, replace(SMALL, features=("charge",)))


@pytest.mark.parametrize(
    ("change", "message"),
    (
        ({"batch": 0}, "batch: expected at least 1"),
        ({"max_constituents": 0}, "max_constituents: expected at least 1"),
        ({"seed": -1}, "seed: expected 0 or more"),
        ({"rank": 2, "world_size": 2}, "rank 2: expected less than the world size 2"),
        ({"resample": 1.0}, "resample: needs a table"),
    ),
)
def test_options_make_sense(change: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        replace(SMALL, **change)


@pytest.mark.parametrize(
    ("name", "place", "value", "message"),
    (
        ("constituents", (500, 1), np.nan, "jet .* holds nan in feature 'etarel'"),
        ("jet_features", (77, 3), np.inf, "jet 77 holds inf in jet feature 'jet_mass'"),
        ("labels", 61, 5, "jet 61 has label 5, outside the 5 classes"),
        ("labels", 0, -1, "jet 0 has label -1"),
        ("offsets", 19, 2**40, r"'offsets' fall or point outside of 'constituents' at jets 14:21"),
    ),
)
@pytest.mark.parametrize("workers", (0, 2))
def test_damage_is_named(
    folder: Path, tmp_path: Path, name: str, place: Any, value: float, message: str, workers: int
) -> None:
    path = tmp_path / "damaged.h5"
    path.write_bytes((folder / "shard-0.h5").read_bytes())
    with h5py.File(path, "r+") as file:
        file[name][place] = value
    options = replace(SMALL, jet_features=("jet_pt", "jet_mass"))
    with pytest.raises(SchemaError, match=rf"damaged\.h5: {message}"):
        list(Stream([folder / "shard-1.h5", path], options, workers))


def test_a_file_that_is_cut_while_it_is_read(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "jets.h5"
    path.write_bytes((folder / "shard-2.h5").read_bytes())
    stream = Stream(path, SMALL)
    os.truncate(path, 5000)
    with pytest.raises(SchemaError, match=r"jets\.h5: ends before its data does"):
        list(stream)


def test_jets_without_constituents(tmp_path: Path) -> None:
    schema.write(tmp_path / "jets.h5", example_jets(13, seed=1, empty=13))
    (batch,) = Stream(tmp_path, replace(SMALL, batch=13, min_pt=2.0, normalise=False))
    assert batch.constituents.shape == (0, 3)
    assert batch.offsets.tolist() == [0] * 14
    assert batch.dense(3)[0].shape == (13, 3, 3)


def test_weights_come_with_the_jets(folder: Path, whole: Jets) -> None:
    table = WeightTable(
        whole.class_names, ("jet_pt",), ((0.0, 1000.0, 5000.0),), np.arange(1, 11).reshape(5, 2) / 10
    )
    for batch in Stream(folder, replace(SMALL, weights=table)):
        pt = whole.jet_column("jet_pt")[batch.index]
        assert batch.weights is not None
        np.testing.assert_array_equal(batch.weights, np.float32((2 * batch.labels + (pt >= 1000) + 1) / 10))
    with pytest.raises(DataError, match="for other classes"):
        Stream(folder, replace(SMALL, weights=replace(table, class_names=("a", "b", "c", "d", "e"))))


def test_resampling_takes_jets_by_weight(folder: Path, whole: Jets) -> None:
    table = WeightTable(whole.class_names, (), (), np.array([1.0, 0.5, 0.25, 0.0, 1.0]))
    options = replace(SMALL, weights=table, resample=2.0)
    ranks = [list(Stream(folder, replace(options, world_size=2, rank=rank))) for rank in (0, 1)]
    taken = np.bincount(indices(ranks[0] + ranks[1]), minlength=len(whole))
    assert set(taken[whole.labels == 0]) == {2}
    assert set(taken[whole.labels == 1]) == {1}
    assert set(taken[whole.labels == 2]) == {0, 1}
    assert set(taken[whole.labels == 3]) == {0}
    assert len(ranks[0]) == len(ranks[1])
    stream = Stream(folder, options)
    first, second = list(stream), list(stream)
    assert sorted(indices(first)) == sorted(indices(ranks[0] + ranks[1]))
    assert sorted(indices(second)) != sorted(indices(first))
    stream.set_epoch(1)
    assert indices(list(stream)) == indices(second)


def test_a_sorted_file_is_mixed(tmp_path: Path) -> None:
    # classes one after another: with 32 of 250 blocks in a window each batch must hold all of them
    jets = example_jets(2000, seed=1)
    schema.write(tmp_path / "jets.h5", jets.select(np.argsort(jets.labels, kind="stable")))
    options = StreamOptions(batch=200, block=8, window=32, seed=3)
    batches = list(Stream(tmp_path, options))
    shares = np.array([np.bincount(batch.labels, minlength=5) / len(batch) for batch in batches])
    # Each window takes its share of each class, so that a batch of 200 deviates by 0.028 as a random sample does;
    # with 32 blocks from anywhere it would be 0.07.
    assert np.abs(shares - 0.2).max() < 0.12
    assert (shares - 0.2).std() < 0.04


def test_the_order_is_random(tmp_path: Path) -> None:
    jets = 3000
    schema.write(tmp_path / "jets.h5", example_jets(jets, seed=1))
    stream = Stream(tmp_path, StreamOptions(batch=100, block=5, window=40, seed=3))
    first, second = (np.array(indices(list(stream))) for _ in range(2))
    # Coefficients of independent numbers have a deviation of 0.018.
    for a, b in ((first, np.arange(jets)), (first, second), (first[1:], first[:-1])):
        assert abs(np.corrcoef(a, b)[0, 1]) < 0.08
    # The windows of two epochs are of other blocks: of 200 jets, 13 are expected in both first windows.
    assert len(set(first[:200]) & set(second[:200])) < 50
    # Neighbours in a block come in one window of 200 jets, by chance one after the other in 2 of 200 cases.
    time_of = np.argsort(first).reshape(-1, 5)
    assert (np.ptp(time_of // 200, axis=1) == 0).all()
    assert abs((np.abs(np.diff(time_of, axis=1)) == 1).mean() - 0.01) < 0.01


def test_a_window_of_one_block_is_shuffled_anew_in_each_epoch(folder: Path) -> None:
    stream = Stream(folder / "shard-0.h5", StreamOptions(batch=101, block=101, seed=3))
    first, second = indices(list(stream)), indices(list(stream))
    assert sorted(first) == sorted(second) == list(range(101))
    # One jet is expected to come at the same place by chance.
    assert sum(one == two for one, two in zip(first, second, strict=True)) < 8


def test_an_abandoned_loop_leaves_no_threads(folder: Path) -> None:
    iterator = iter(Stream(folder, SMALL, workers=3))
    next(iterator)
    assert any("jetformer-stream" in thread.name for thread in threading.enumerate())
    iterator.close()
    assert not any("jetformer-stream" in thread.name for thread in threading.enumerate())


def test_an_error_in_the_loop_ends_the_threads(folder: Path) -> None:
    def fail() -> None:
        for _ in Stream(folder, SMALL, workers=3):
            raise ValueError("ours")

    with pytest.raises(ValueError, match="ours"):
        fail()
    assert not any("jetformer-stream" in thread.name for thread in threading.enumerate())


@pytest.mark.parametrize("method", ("fork", "spawn"))
def test_other_processes_take_a_stream(folder: Path, method: str) -> None:
    stream = Stream(folder, SMALL)
    expected = digest(list(stream))
    stream.set_epoch(0)
    with multiprocessing.get_context(method).Pool(1) as pool:
        assert digest(pool.apply(list, (stream,))) == expected


ENDLESS = """
import sys
from jetformer_data.streaming import Stream, StreamOptions
stream = Stream(sys.argv[1], StreamOptions(batch=11, block=7, window=3), workers=3)
while True:
    for batch in stream:
        print(len(batch), flush=True)
"""


def test_a_killed_consumer_leaves_no_process(folder: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", ENDLESS, str(folder)], stdout=subprocess.PIPE, start_new_session=True
    )
    assert process.stdout is not None
    assert process.stdout.readline()
    process.kill()
    assert process.wait() == -signal.SIGKILL
    process.stdout.close()
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            os.killpg(process.pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    pytest.fail("a process of the killed consumer's group is still there")
