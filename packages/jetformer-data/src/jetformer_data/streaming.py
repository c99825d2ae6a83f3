"""Jets in batches, shuffled, from any number of files: at the speed of memory and in little of it.

    stream = Stream("jets/*.h5", StreamOptions(batch=512, split="train", seed=1))
    for epoch in range(3):
        for batch in stream:
            batch.constituents, batch.offsets, batch.labels

The order of an epoch. The files are cut into *blocks* of consecutive jets, which are read in one go. The blocks are
put in random order, and `window` of them in turn are read and their jets shuffled as a whole. So a batch is a random
sample of the jets of `window` blocks from random places of all files, and a file may be sorted in whatever way.

All is a function of the options, the epoch and the files: each window is shuffled by a hash and not by the state of
a generator, so worker threads may prepare windows in any order, and a stream can go on from any batch.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, fields
from itertools import pairwise
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from jetformer_data.errors import DataError, SchemaError
from jetformer_data.filesets import Paths, find_files
from jetformer_data.hashing import key, permutation, uniform
from jetformer_data.jets import Normalisation, feature_columns, offsets_of
from jetformer_data.padding import pad
from jetformer_data.places import RowReader, Rows
from jetformer_data.scaling import normalise_rows
from jetformer_data.schema import Reader
from jetformer_data.splitting import FRACTIONS, SplitRule, split_rule
from jetformer_data.weighting import WeightTable

_BLOCK_BYTES = 400_000  # smaller blocks cost time, larger ones mix less
_COUNTED = 1 << 20  # jets whose labels are looked at together when they are counted
# What the hashes are for, so that no two of them are the same.
_BLOCKS, _JETS, _COPIES = 1, 2, 3


@dataclass(frozen=True, eq=False)
class StreamOptions:
    """What comes in which order.

    batch               jets in a batch
    features            names of constituents' features, in this order; None: all
    jet_features        names of features of whole jets
    max_constituents    the first so many of each jet; None: all
    min_pt              GeV; constituents below are dropped first
    normalise           True: by the constants that the files hold; or constants for `features`
    split               train, validation, test or all; with `fractions` and `stratified` as in `splitting`
    shuffle             False: jets in the order of the files
    drop_last           True: full batches only, as many on each rank
    seed                of the order
    rank, world_size    this process takes one of `world_size` equal parts
    block               consecutive jets that are read in one go; None: as many as make about 400 kB
    window              blocks that are shuffled together; each worker holds two windows, the consumer one or two
    weights             a table of weights: each jet comes with its weight
    resample            above 0: instead, a jet of the largest weight comes so many times an epoch on average, and others
                        in proportion to their weights
    """

    batch: int = 512
    features: tuple[str, ...] | None = None
    jet_features: tuple[str, ...] = ()
    max_constituents: int | None = None
    min_pt: float = 0.0
    normalise: bool | Normalisation = False
    split: str = "all"
    fractions: tuple[float, ...] = FRACTIONS
    stratified: bool = False
    shuffle: bool = True
    drop_last: bool = False
    seed: int = 0
    rank: int = 0
    world_size: int = 1
    block: int | None = None
    window: int = 128
    weights: WeightTable | None = None
    resample: float = 0.0

    def __post_init__(self) -> None:
        for name, least in (
            ("batch", 1),
            ("max_constituents", 1),
            ("block", 1),
            ("window", 1),
            ("world_size", 1),
        ):
            value = getattr(self, name)
            if value is not None and value < least:
                raise DataError(f"{name}: expected at least {least}, got {value}")
        for name in ("seed", "rank", "resample", "min_pt"):
            if getattr(self, name) < 0:
                raise DataError(f"{name}: expected 0 or more, got {getattr(self, name)}")
        if self.rank >= self.world_size:
            raise DataError(f"rank {self.rank}: expected less than the world size {self.world_size}")
        if self.resample and self.weights is None:
            raise DataError("resample: needs a table of weights")

    def to_dict(self) -> dict[str, Any]:
        """The options as JSON holds them."""
        plain = {field.name: getattr(self, field.name) for field in fields(self)}
        if isinstance(self.normalise, Normalisation):
            plain["normalise"] = [self.normalise.mean.tolist(), self.normalise.std.tolist()]
        if self.weights is not None:
            plain["weights"] = self.weights.to_dict()
        return dict(json.loads(json.dumps(plain)))


@dataclass(frozen=True, eq=False)
class Batch:
    """Ragged jets; the constituents of jet `j` are the rows `offsets[j]:offsets[j + 1]`.

    constituents    float32 `[constituents, features]`
    offsets         int64 `[jets + 1]`
    labels          int64 `[jets]`
    index           int64 `[jets]`, place of each jet in all files one after another
    weights         float32 `[jets]`, or None
    jet_features    float32 `[jets, jet_features]`
    """

    constituents: NDArray[np.float32]
    offsets: NDArray[np.int64]
    labels: NDArray[np.int64]
    index: NDArray[np.int64]
    weights: NDArray[np.float32] | None
    jet_features: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.labels)

    def dense(self, constituents: int) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """The first `constituents` of each jet: `x` `[jets, constituents, features]`, 0 where the mask is False, and the
        mask `[jets, constituents]` (True = real constituent)."""
        return pad(self.constituents, self.offsets, constituents)

    def part(self, start: int, stop: int) -> Batch:
        """Jets `start:stop`, as views."""
        offsets = self.offsets[start : stop + 1]
        return Batch(
            self.constituents[offsets[0] : offsets[-1]],
            offsets - offsets[0],
            self.labels[start:stop],
            self.index[start:stop],
            None if self.weights is None else self.weights[start:stop],
            self.jet_features[start:stop],
        )


class Stream:
    """Batches of the jets of some files; each turn of a `for` loop over it is one epoch.

    paths       files of the array schema, globs, or folders of `.h5` files
    workers     threads that prepare windows beforehand; the batches are the same for any number, 0 included

    Each jet of the split comes exactly once an epoch over all ranks, and each rank gets the same number of batches, of
    which the last ones may be smaller. With `drop_last` all batches are full; less than `batch * world_size` jets,
    other ones in each epoch, then stay out. A batch is a view of its window: copy what is kept for longer.

    Raises `SchemaError` where a file breaks the schema, also while batches are read.
    """

    def __init__(
        self,
        paths: Paths,
        options: StreamOptions = StreamOptions(),
        workers: int = 2,
    ) -> None:
        self.options, self.workers = options, workers
        self._files = _open_files(find_files(paths), options)
        first = self._files[0]
        self.class_names = first.class_names
        self.feature_names = first.feature_names if options.features is None else tuple(options.features)
        self._columns = feature_columns(self.feature_names, first.feature_names)
        self._normalisation = _normalisation(self._files, self._columns, options)
        self._pt = feature_columns(["pt"], first.feature_names)[0] if options.min_pt > 0 else None
        self._jet_columns = feature_columns(options.jet_features, first.jet_feature_names)
        variables = () if options.weights is None else options.weights.variables
        self._variables = feature_columns(variables, first.jet_feature_names)
        self._low = np.stack([file.rule.low for file in self._files])
        self._high = np.stack([file.rule.high for file in self._files])
        self._block = options.block or _usual_block(self._files)
        self._blocks = _blocks([file.jets for file in self._files], self._block)
        self._epoch, self._batch = 0, 0
        self._known: _Epoch | None = None

    @property
    def epoch(self) -> int:
        """Number of the epoch that a loop goes on with."""
        return self._epoch

    def __len__(self) -> int:
        """Batches of this rank in the epoch."""
        return len(self._plan().bounds) - 1

    def set_epoch(self, epoch: int) -> None:
        """Start again at the first batch of an epoch."""
        self._epoch, self._batch = epoch, 0

    def state_dict(self) -> dict[str, Any]:
        """Where the stream is, for JSON: batches that were handed out are not repeated."""
        return {
            "epoch": self._epoch,
            "batch": self._batch,
            "options": self.options.to_dict(),
            "files": self._digest(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where another stream of the same files and options was."""
        if not {"epoch", "batch", "options", "files"} <= state.keys():
            raise DataError("cannot go on: this is not the state of a stream")
        here = self.options.to_dict()
        for name, value in here.items():
            if state["options"].get(name) != value:
                raise DataError(
                    f"cannot go on: the stream was at '{name}' {state['options'].get(name)}, not {value}"
                )
        if state["files"] != self._digest():
            raise DataError("cannot go on: the stream was over other files")
        self._epoch, self._batch = int(state["epoch"]), int(state["batch"])

    def __iter__(self) -> Iterator[Batch]:
        """The rest of the epoch, from the batch after the last one that was handed out. One loop at a time."""
        plan = self._plan()
        bounds = plan.bounds[self._batch :]
        numbers = plan.windows(bounds[0], bounds[-1])
        starts = (max(0, int(plan.sums[number]) - plan.first) for number in numbers)
        windows = self._prepared(plan, numbers)
        try:
            for batch in _cut(zip(starts, windows, strict=True), bounds):
                self._batch += 1
                yield batch
        finally:
            windows.close()
        self.set_epoch(plan.number + 1)

    def _prepared(self, plan: _Epoch, numbers: range) -> Generator[Batch, None, None]:
        if self.workers < 1:
            yield from (self._window(plan, number) for number in numbers)
            return
        pool = ThreadPoolExecutor(self.workers, "jetformer-stream")
        waiting: deque[Future[Batch]] = deque()
        try:
            for number in numbers:
                waiting.append(pool.submit(self._window, plan, number))
                if len(waiting) > self.workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)

    def _plan(self) -> _Epoch:
        if self._known is None or self._known.number != self._epoch:
            self._known = self._new_plan(self._epoch)
        return self._known

    def _new_plan(self, number: int) -> _Epoch:
        options, blocks = self.options, len(self._blocks)
        order = permutation(blocks, options.seed, number, _BLOCKS) if options.shuffle else np.arange(blocks)
        if self._known is None or options.resample:
            self._counts = self._count(number)
        sums = offsets_of(self._counts[order])[[*range(0, blocks, options.window), blocks]]
        total = int(sums[-1])
        if 0 < total < options.world_size:
            raise DataError(
                f"{total} jets in the split '{options.split}', too few for {options.world_size} ranks"
            )
        if options.drop_last and 0 < total < options.world_size * options.batch:
            raise DataError(
                f"{total} jets in the split '{options.split}', too few for a full batch on each rank"
            )
        first, last = (rank * total // options.world_size for rank in (options.rank, options.rank + 1))
        return _Epoch(
            number, self._blocks[order], options.window, sums, first, _bounds(total, last - first, options)
        )

    def _count(self, epoch: int) -> NDArray[np.int64]:
        """Jets of each block that come in an epoch."""
        if self.options.split == "all" and not self.options.resample:
            return self._blocks[:, 2] - self._blocks[:, 1]
        counts = [np.zeros(0, np.int64)]
        together = max(1, _COUNTED // self._block)
        for number, file in enumerate(self._files):
            blocks = self._blocks[self._blocks[:, 0] == number]
            with RowReader(file.path) as reader:
                for k in range(0, len(blocks), together):
                    some = blocks[k : k + together]
                    facts = self._facts([(number, int(some[0, 1]), int(some[-1, 2]))], {number: reader})
                    counts.append(np.add.reduceat(self._copies(facts, epoch), some[:, 1] - some[0, 1]))
        return np.concatenate(counts)

    def _facts(self, parts: list[tuple[int, int, int]], readers: dict[int, RowReader]) -> _Facts:
        """All that is known of jets `start:stop` of some files without their constituents."""
        labels, keys, index, values = [], [], [], []
        for number, start, stop in parts:
            file, reader = self._files[number], readers[number]
            labels.append(reader.read(file.labels, start, stop))
            place = np.arange(start, stop)
            index.append(place + file.first)
            keys.append(place if file.groups is None else reader.read(file.groups, start, stop))
            if self._jet_columns or self._variables:
                assert file.jet_features is not None
                values.append(reader.read(file.jet_features, start, stop))
        of_file = np.repeat([part[0] for part in parts], [len(part) for part in labels])
        facts = _Facts(
            np.concatenate(labels),
            np.concatenate(keys),
            np.concatenate(index),
            of_file,
            np.concatenate(values) if values else np.empty((len(of_file), 0), np.float32),
        )
        self._require_labels(facts)
        return facts

    def _copies(self, facts: _Facts, epoch: int) -> NDArray[np.int64]:
        """How often each jet comes, int64 `[jets]`: once if it is of the split, or by chance when resampling."""
        place = (facts.of_file, facts.labels)
        hashed = uniform(facts.keys)
        copies = ((hashed >= self._low[place]) & (hashed < self._high[place])).astype(np.int64)
        if self.options.resample:
            chance = uniform(facts.index.astype(np.uint64) ^ key(self.options.seed, epoch, _COPIES))
            copies *= np.floor(self.options.resample * self._weights(facts) + chance).astype(np.int64)
        return copies

    def _weights(self, facts: _Facts) -> NDArray[np.float32]:
        assert self.options.weights is not None
        return self.options.weights.of(facts.labels, facts.jet_features[:, self._variables])

    def _window(self, plan: _Epoch, number: int) -> Batch:
        """This rank's jets of one window, in the order in which they come."""
        parts = [(int(f), int(start), int(stop)) for f, start, stop in plan.blocks_of(number)]
        with ExitStack() as stack:
            readers = {
                number: stack.enter_context(RowReader(self._files[number].path))
                for number in {p[0] for p in parts}
            }
            facts = self._facts(parts, readers)
            rows, starts, counts = self._rows(parts, readers)
        copies = self._copies(facts, plan.number)
        chosen = plan.share(number, np.repeat(np.arange(len(copies)), copies))
        if self.options.shuffle:
            chosen = chosen[permutation(len(chosen), self.options.seed, plan.number, _JETS, number)]
        weighted = self.options.weights is not None and not self.options.resample
        constituents, offsets = self._constituents(rows, starts[chosen], counts[chosen])
        batch = Batch(
            constituents,
            offsets,
            facts.labels[chosen],
            facts.index[chosen],
            self._weights(facts)[chosen] if weighted else None,
            facts.jet_features[chosen][:, self._jet_columns],
        )
        self._require_finite(batch)
        if self._normalisation is not None:
            normalise_rows(constituents, self._normalisation)
        return batch

    def _rows(
        self, parts: list[tuple[int, int, int]], readers: dict[int, RowReader]
    ) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.int64]]:
        """Rows of all constituents of some blocks; in them each jet's first row and number of rows, int64 `[jets]`."""
        offsets = [readers[f].read(self._files[f].offsets, start, stop + 1) for f, start, stop in parts]
        counts = [block[1:] - block[:-1] for block in offsets]
        for part, block, count in zip(parts, offsets, counts, strict=True):
            self._require_offsets(part, block, count)
        bases = offsets_of(np.array([block[-1] - block[0] for block in offsets]))
        rows = _scratch(int(bases[-1]), len(self._files[0].feature_names))
        for (f, _, _), block, base in zip(parts, offsets, bases.tolist(), strict=False):
            low, high = int(block[0]), int(block[-1])
            readers[f].read(self._files[f].constituents, low, high, rows[base : base + high - low])
        together = np.concatenate(counts)
        return rows, offsets_of(together)[:-1], together

    def _constituents(
        self, rows: NDArray[np.float32], starts: NDArray[np.int64], counts: NDArray[np.int64]
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """The rows and columns that are asked for, jet after jet, and the jets' offsets among them."""
        kept = None
        if self._pt is not None:
            above = rows[:, self._pt] >= self.options.min_pt
            kept, before = np.flatnonzero(above), offsets_of(above)
            starts, counts = before[starts], before[starts + counts] - before[starts]
        if self.options.max_constituents is not None:
            counts = np.minimum(counts, self.options.max_constituents)
        offsets = offsets_of(counts)
        taken = np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], counts)
        # "clip" spares a second look at each index, and no index is outside
        found = np.take(rows, taken if kept is None else kept[taken], axis=0, mode="clip")
        if self._columns != list(range(rows.shape[1])):
            found = np.take(found, self._columns, axis=1)
        return found, offsets

    def _require_labels(self, facts: _Facts) -> None:
        wrong = np.flatnonzero((facts.labels < 0) | (facts.labels >= len(self.class_names)))
        if len(wrong):
            label = facts.labels[wrong[0]]
            self._refuse(
                int(facts.index[wrong[0]]), f"has label {label}, outside the {len(self.class_names)} classes"
            )

    def _require_offsets(
        self, part: tuple[int, int, int], offsets: NDArray[np.int64], counts: NDArray[np.int64]
    ) -> None:
        file = self._files[part[0]]
        if offsets[0] < 0 or offsets[-1] > file.constituents.length or counts.min() < 0:
            raise SchemaError(
                f"{file.path}: 'offsets' fall or point outside of 'constituents' at jets {part[1]}:{part[2]}"
            )

    def _require_finite(self, batch: Batch) -> None:
        if not np.isfinite(batch.constituents).all():
            row, column = np.argwhere(~np.isfinite(batch.constituents))[0]
            jet = int(np.searchsorted(batch.offsets, row, side="right")) - 1
            value = batch.constituents[row, column]
            self._refuse(int(batch.index[jet]), f"holds {value} in feature '{self.feature_names[column]}'")
        if not np.isfinite(batch.jet_features).all():
            jet, column = np.argwhere(~np.isfinite(batch.jet_features))[0]
            name = self.options.jet_features[column]
            self._refuse(
                int(batch.index[jet]), f"holds {batch.jet_features[jet, column]} in jet feature '{name}'"
            )

    def _refuse(self, index: int, reason: str) -> NoReturn:
        file = next(file for file in reversed(self._files) if file.first <= index)
        raise SchemaError(f"{file.path}: jet {index - file.first} {reason}")

    def _digest(self) -> str:
        shapes = [[file.path.name, file.jets, file.constituents.length] for file in self._files]
        return hashlib.sha256(json.dumps(shapes).encode()).hexdigest()


@dataclass(frozen=True, eq=False)
class _File:
    """What is known of a file once it was opened: no handle of it stays open."""

    path: Path
    first: int  # place of its first jet in all files
    jets: int
    class_names: tuple[str, ...]
    feature_names: tuple[str, ...]
    jet_feature_names: tuple[str, ...]
    normalisation: Normalisation | None
    rule: SplitRule
    constituents: Rows
    offsets: Rows
    labels: Rows
    groups: Rows | None
    jet_features: Rows | None


@dataclass(frozen=True, eq=False)
class _Facts:
    """Jets without constituents: labels, keys of the split, places in all files, their files, all jet features."""

    labels: NDArray[np.int64]
    keys: NDArray[np.int64]
    index: NDArray[np.int64]
    of_file: NDArray[np.int64]
    jet_features: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class _Epoch:
    """One epoch as a sequence of chosen jets, window after window, of which this rank takes `first:first + bounds[-1]`.

    blocks      int64 `[blocks, 3]`, in their order: file, first jet, last jet + 1
    window      blocks in a window
    sums        int64 `[windows + 1]`, chosen jets before each window
    bounds      int64 `[batches + 1]`, where this rank's batches start, counted from `first`
    """

    number: int
    blocks: NDArray[np.int64]
    window: int
    sums: NDArray[np.int64]
    first: int
    bounds: NDArray[np.int64]

    def windows(self, start: int, stop: int) -> range:
        """Windows that hold jets `start:stop` of this rank."""
        if start >= stop:
            return range(0)
        low = np.searchsorted(self.sums, self.first + start, side="right") - 1
        return range(int(low), int(np.searchsorted(self.sums, self.first + stop, side="left")))

    def blocks_of(self, window: int) -> NDArray[np.int64]:
        return self.blocks[window * self.window : (window + 1) * self.window]

    def share(self, window: int, chosen: NDArray[np.int64]) -> NDArray[np.int64]:
        """This rank's part of the chosen jets of a window."""
        before = int(self.sums[window])
        return chosen[max(0, self.first - before) : max(0, self.first + int(self.bounds[-1]) - before)]


def _open_files(paths: list[Path], options: StreamOptions) -> list[_File]:
    files: list[_File] = []
    for path in paths:
        with Reader(path) as reader:
            file = _File(
                path,
                files[-1].first + files[-1].jets if files else 0,
                len(reader),
                reader.class_names,
                reader.feature_names,
                reader.jet_feature_names,
                reader.normalisation,
                split_rule(reader, options.split, options.fractions, options.stratified),
                reader.rows("constituents"),
                reader.rows("offsets"),
                reader.rows("labels"),
                reader.rows("groups") if reader.has_groups else None,
                reader.rows("jet_features") if reader.jet_feature_names else None,
            )
        for name in ("class_names", "feature_names", "jet_feature_names"):
            here, there = getattr(file, name), getattr((files or [file])[0], name)
            if here != there:
                raise SchemaError(
                    f"{path}: '{name}' are {', '.join(here)}; those of {paths[0]} are {', '.join(there)}"
                )
        files.append(file)
    if options.weights is not None and options.weights.class_names != files[0].class_names:
        raise DataError(f"the table of weights is for other classes than those of {paths[0]}")
    return files


def _normalisation(files: list[_File], columns: list[int], options: StreamOptions) -> Normalisation | None:
    """Constants of the chosen features."""
    if isinstance(options.normalise, Normalisation):
        if not len(options.normalise.mean) == len(options.normalise.std) == len(columns):
            raise DataError(f"normalise: {len(options.normalise.mean)} constants for {len(columns)} features")
        return options.normalise
    if not options.normalise:
        return None
    stored = [file.normalisation for file in files]
    if stored[0] is None:
        raise DataError(f"{files[0].path}: holds no normalisation; see jetformer_data.training_normalisation")
    for file, constants in zip(files, stored, strict=True):
        if constants is None or any(
            not np.array_equal(getattr(constants, name), getattr(stored[0], name)) for name in ("mean", "std")
        ):
            raise DataError(
                f"{file.path}: has another normalisation than {files[0].path}; see jetformer_data.training_normalisation"
            )
    return Normalisation(stored[0].mean[columns], stored[0].std[columns])


def _usual_block(files: list[_File]) -> int:
    jets = sum(file.jets for file in files)
    numbers = sum(file.constituents.length for file in files) * len(files[0].feature_names)
    return max(1, jets * _BLOCK_BYTES // max(1, 4 * numbers))


def _blocks(jets: list[int], size: int) -> NDArray[np.int64]:
    """File, first jet and last jet + 1 of each block, int64 `[blocks, 3]`."""
    blocks = []
    for number, total in enumerate(jets):
        starts = np.arange(0, total, size)
        blocks.append(
            np.stack([np.full(len(starts), number), starts, np.minimum(starts + size, total)], axis=1)
        )
    return np.concatenate(blocks)


def _bounds(total: int, jets: int, options: StreamOptions) -> NDArray[np.int64]:
    """Where the batches of a rank with `jets` of `total` jets start, int64 `[batches + 1]`; as many on each rank."""
    if options.drop_last:
        return np.arange(total // options.world_size // options.batch + 1) * options.batch
    batches = -(-total // (options.world_size * options.batch))
    k = np.arange(batches + 1)
    # ranks differ by one jet at most: where that one would make a batch more, the others leave a jet for it, too
    return np.maximum(0, np.minimum(k * options.batch, jets - (batches - k)))


def _cut(windows: Iterator[tuple[int, Batch]], bounds: NDArray[np.int64]) -> Iterator[Batch]:
    """The batches between the bounds; each window comes with the place of its first jet."""
    place, window = 0, None
    for start, stop in pairwise(bounds.tolist()):
        parts: list[Batch] = []
        while start < stop or not parts:
            if window is None or start >= place + len(window):
                place, window = next(windows)
            end = min(stop, place + len(window))
            parts.append(window.part(start - place, end - place))
            start = end
        yield parts[0] if len(parts) == 1 else _joined(parts)


def _joined(parts: list[Batch]) -> Batch:
    """One batch of several."""
    return Batch(
        np.concatenate([part.constituents for part in parts]),
        offsets_of(np.concatenate([np.diff(part.offsets) for part in parts])),
        np.concatenate([part.labels for part in parts]),
        np.concatenate([part.index for part in parts]),
        np.concatenate([part.weights for part in parts]) if parts[0].weights is not None else None,
        np.concatenate([part.jet_features for part in parts]),
    )


_memory = threading.local()


def _scratch(rows: int, columns: int) -> NDArray[np.float32]:
    """Memory for rows that each thread uses again, since fresh memory costs a third of the time of a copy."""
    held: NDArray[np.float32] | None = getattr(_memory, "held", None)
    if held is None or held.size < rows * columns:
        held = _memory.held = np.empty(rows * columns * 9 // 8, np.float32)
    return held[: rows * columns].reshape(rows, columns)
