"""How many jets a second a stream hands out, from files in the page cache: python benchmarks/loader.py

Jets are made up with the multiplicities of JetClass (45 constituents on average, 128 at most). Each figure is the median
of several epochs after one that warms the page cache; the whole file is read, shuffled, and looked at in batches of 512.
"""

from __future__ import annotations

import json
import resource
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import median

import h5py
import numpy as np

from jetformer_data import schema
from jetformer_data.jets import Jets, Normalisation, offsets_of
from jetformer_data.streaming import Batch, Stream, StreamOptions

JETS, SHARDS, SEED, EPOCHS = 400_000, 8, 1, 5
MOST, BATCH = 128, 512
NAIVE_JETS = 10_000


def made_up(jets: int, features: int, seed: int) -> Jets:
    """Jets with realistic multiplicities and meaningless values."""
    rng = np.random.default_rng(seed)
    offsets = offsets_of(np.clip(rng.gamma(6, 7.5, jets).astype(int) + 1, 1, MOST))
    rows = rng.random((int(offsets[-1]), features), np.float32)
    rows[:, 0] = 500 / (1 + np.arange(len(rows)) - np.repeat(offsets[:-1], np.diff(offsets)))
    names = ("pt", *(f"feature_{k}" for k in range(1, features)))
    constants = Normalisation(np.full(features, 0.5), np.full(features, 0.3))
    classes = tuple("abcdefghij")
    units = ("GeV", *["1"] * (features - 1))
    labels = rng.integers(len(classes), size=jets)
    return Jets(rows, offsets, labels, names, units, classes, normalisation=constants)


def write_shards(folder: Path, features: int) -> float:
    """Shards of `JETS` jets in all; returns the mean number of constituents."""
    folder.mkdir()
    constituents = 0
    for shard in range(SHARDS):
        jets = made_up(JETS // SHARDS, features, SEED + shard)
        constituents += len(jets.constituents)
        schema.write(folder / f"shard-{shard}.h5", jets)
    return constituents / JETS


def ragged(batch: Batch) -> int:
    return len(batch.constituents)


def dense(batch: Batch) -> int:
    x, mask = batch.dense(8)
    return len(x) + len(mask)


def rate(batches: Iterable[Batch], use: Callable[[Batch], int]) -> float:
    """Jets a second: the median of `EPOCHS` turns of `batches`, without the first."""
    rates = []
    for _ in range(EPOCHS + 1):
        begin, jets = time.perf_counter(), 0
        for batch in batches:
            use(batch)
            jets += len(batch)
        rates.append(jets / (time.perf_counter() - begin))
    return median(rates[1:])


def naive_rate(path: Path) -> float:
    """Jets a second of a loop that reads one padded jet after another from HDF5 in random order and stacks them."""
    jets = made_up(NAIVE_JETS, 17, SEED)
    x = np.zeros((NAIVE_JETS, MOST, 17), np.float32)
    x[np.arange(MOST) < jets.multiplicity[:, None]] = jets.constituents
    with h5py.File(path, "w") as file:
        file["x"], file["labels"] = x, jets.labels
    order = np.random.default_rng(SEED).permutation(NAIVE_JETS)
    with h5py.File(path, "r") as file:
        x_of, label_of = file["x"], file["labels"]
        begin = time.perf_counter()
        for start in range(0, NAIVE_JETS, BATCH):
            some = order[start : start + BATCH]
            np.stack([x_of[i] for i in some])
            np.array([label_of[i] for i in some])
        return NAIVE_JETS / (time.perf_counter() - begin)


def measure() -> dict[str, float | list[int]]:
    """Figures for build/bench/data.json."""
    wide = StreamOptions(batch=BATCH, max_constituents=MOST, seed=SEED)
    narrow = StreamOptions(batch=BATCH, max_constituents=8, seed=SEED)
    scaled = StreamOptions(batch=BATCH, max_constituents=MOST, seed=SEED, normalise=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        mean = write_shards(folder / "17", 17)
        figures: dict[str, float | int] = {
            "loader_ragged_jets_per_s": rate(Stream(folder / "17", wide), ragged),
            "loader_ragged_normalised_jets_per_s": rate(Stream(folder / "17", scaled), ragged),
            "loader_ragged_one_thread_jets_per_s": rate(Stream(folder / "17", wide, workers=0), ragged),
            "loader_peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        }
        write_shards(folder / "3", 3)
        figures["loader_dense_jets_per_s"] = rate(Stream(folder / "3", narrow), dense)
        figures["loader_naive_jets_per_s"] = naive_rate(folder / "naive.h5")
    figures["loader_ratio_to_naive"] = (
        figures["loader_ragged_jets_per_s"] / figures["loader_naive_jets_per_s"]
    )
    figures |= {"loader_jets": JETS, "loader_mean_constituents": mean, "loader_seed": SEED}
    # As reported for a widely used jet framework with 5 workers; not measured here.
    reported = {"loader_peer_reported_jets_per_s": [41_000, 73_000]}
    return {key: round(value, 1) for key, value in figures.items()} | reported


if __name__ == "__main__":
    print(json.dumps(measure(), indent=1))
