"""Windows: several blocks of consecutive jets, read as plain bytes and shuffled as a whole.

Each window is a function of its number, the epoch, the files and the options, and keeps no handle of a file open, so any
thread or process may make any window.
"""

from __future__ import annotations

import hashlib
import json
import threading
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from jetformer_data.errors import SchemaError
from jetformer_data.hashing import key, permutation, uniform
from jetformer_data.jets import feature_columns, offsets_of
from jetformer_data.places import RowReader
from jetformer_data.scaling import normalise_rows
from jetformer_data.streaming.batches import Batch
from jetformer_data.streaming.epochs import Epoch, cut_into_blocks
from jetformer_data.streaming.files import common_normalisation, open_files, usual_block
from jetformer_data.streaming.options import StreamOptions

_BLOCK_BYTES = 400_000  # smaller blocks cost time, larger ones mix less
_COUNTED = 1 << 20  # jets whose labels are looked at together when they are counted
_JETS, _COPIES = 2, 3  # what the hashes are for


class Windows:
    """Reads the windows of some files. `blocks` int64 `[blocks, 3]` holds file, first jet and last jet + 1 of each."""

    def __init__(self, paths: list[Path], options: StreamOptions) -> None:
        self.options = options
        self._files = open_files(paths, options)
        first = self._files[0]
        self.class_names = first.class_names
        self.feature_names = first.feature_names if options.features is None else tuple(options.features)
        self._columns = feature_columns(self.feature_names, first.feature_names)
        self._normalisation = common_normalisation(self._files, self._columns, options)
        self._pt = feature_columns(["pt"], first.feature_names)[0] if options.min_pt > 0 else None
        self._jet_columns = feature_columns(options.jet_features, first.jet_feature_names)
        variables = () if options.weights is None else options.weights.variables
        self._variables = feature_columns(variables, first.jet_feature_names)
        self._low = np.stack([file.rule.low for file in self._files])
        self._high = np.stack([file.rule.high for file in self._files])
        self._block = options.block or usual_block(self._files, _BLOCK_BYTES)
        self.blocks = cut_into_blocks([file.jets for file in self._files], self._block)

    def digest(self) -> str:
        """Stands for the names and sizes of the files."""
        shapes = [[file.path.name, file.jets, file.constituents.length] for file in self._files]
        return hashlib.sha256(json.dumps(shapes).encode()).hexdigest()

    def count(self, epoch: int) -> NDArray[np.int64]:
        """Jets of each block that come in an epoch."""
        if self.options.split == "all" and not self.options.resample:
            return self.blocks[:, 2] - self.blocks[:, 1]
        counts = [np.zeros(0, np.int64)]
        together = max(1, _COUNTED // self._block)
        for number, file in enumerate(self._files):
            blocks = self.blocks[self.blocks[:, 0] == number]
            with RowReader(file.path) as reader:
                for k in range(0, len(blocks), together):
                    some = blocks[k : k + together]
                    facts = self._facts([(number, int(some[0, 1]), int(some[-1, 2]))], {number: reader})
                    counts.append(np.add.reduceat(self._copies(facts, epoch), some[:, 1] - some[0, 1]))
        return np.concatenate(counts)

    def read(self, plan: Epoch, number: int) -> Batch:
        """This rank's jets of one window, in the order in which they come."""
        parts = [(int(f), int(start), int(stop)) for f, start, stop in plan.blocks_of(number)]
        with ExitStack() as stack:
            readers = {
                f: stack.enter_context(RowReader(self._files[f].path)) for f in {f for f, _, _ in parts}
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


@dataclass(frozen=True, eq=False)
class _Facts:
    """Jets without constituents: labels, keys of the split, places in all files, their files, all jet features."""

    labels: NDArray[np.int64]
    keys: NDArray[np.int64]
    index: NDArray[np.int64]
    of_file: NDArray[np.int64]
    jet_features: NDArray[np.float32]


_memory = threading.local()


def _scratch(rows: int, columns: int) -> NDArray[np.float32]:
    """Memory for rows that each thread uses again, since fresh memory costs a third of the time of a copy."""
    held: NDArray[np.float32] | None = getattr(_memory, "held", None)
    if held is None or held.size < rows * columns:
        held = _memory.held = np.empty(rows * columns * 9 // 8, np.float32)
    return held[: rows * columns].reshape(rows, columns)
