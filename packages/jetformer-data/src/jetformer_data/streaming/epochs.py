"""The order of an epoch: which blocks of jets come when, which of them are a rank's, and where its batches start."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from jetformer_data.errors import DataError
from jetformer_data.hashing import key, splitmix64
from jetformer_data.jets import offsets_of
from jetformer_data.streaming.options import StreamOptions

_BLOCKS = 1  # what the hash is for


@dataclass(frozen=True, eq=False)
class Epoch:
    """One epoch as a sequence of chosen jets, window after window, of which this rank takes `first:first + bounds[-1]`.

    blocks      int64 `[blocks, 3]`, in their order: file, first jet, last jet + 1
    starts      int64 `[windows + 1]`, first block of each window
    sums        int64 `[windows + 1]`, chosen jets before each window
    bounds      int64 `[batches + 1]`, where this rank's batches start, counted from `first`
    """

    number: int
    blocks: NDArray[np.int64]
    starts: NDArray[np.int64]
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
        return self.blocks[self.starts[window] : self.starts[window + 1]]

    def share(self, window: int, chosen: NDArray[np.int64]) -> NDArray[np.int64]:
        """This rank's part of the chosen jets of a window."""
        before = int(self.sums[window])
        return chosen[max(0, self.first - before) : max(0, self.first + int(self.bounds[-1]) - before)]


def plan_epoch(
    number: int, blocks: NDArray[np.int64], counts: NDArray[np.int64], options: StreamOptions
) -> Epoch:
    """An epoch of blocks `[blocks, 3]` with `counts` chosen jets each."""
    order, starts = (
        _shuffled(len(blocks), number, options) if options.shuffle else _in_turn(len(blocks), options)
    )
    sums = offsets_of(counts[order])[starts]
    total = int(sums[-1])
    if 0 < total < options.world_size:
        raise DataError(
            f"{total} jets in the split '{options.split}', too few for {options.world_size} ranks"
        )
    if options.drop_last and 0 < total < options.world_size * options.batch:
        raise DataError(f"{total} jets in the split '{options.split}', too few for a full batch on each rank")
    first, last = (rank * total // options.world_size for rank in (options.rank, options.rank + 1))
    return Epoch(number, blocks[order], starts, sums, first, _bounds(total, last - first, options))


def _in_turn(blocks: int, options: StreamOptions) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Blocks in the order of the files, and where windows of them start."""
    places = np.arange(blocks)
    return places, np.append(places[:: options.window], blocks)


def _shuffled(blocks: int, epoch: int, options: StreamOptions) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Blocks in random order, and where windows of them start.

    With n windows, the files are cut into stretches of n blocks, and a window takes one block of each. So where the files
    are sorted by class, each window holds its share of each class, with a smaller spread than by chance.
    """
    windows = max(1, -(-blocks // options.window))
    # the last stretch is filled up with blocks that are not there
    places = np.arange(-(-blocks // windows) * windows)
    hashed = splitmix64(places.astype(np.uint64) ^ key(options.seed, epoch, _BLOCKS))
    window = np.empty_like(places)
    window[np.lexsort((hashed, places // windows))] = places % windows
    order = np.lexsort((hashed[:blocks], window[:blocks]))
    return order, np.searchsorted(window[order], np.arange(windows + 1))


def cut_into_blocks(jets: list[int], size: int) -> NDArray[np.int64]:
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
