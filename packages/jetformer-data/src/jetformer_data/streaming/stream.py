"""Jets in batches, shuffled, from any number of files: at the speed of memory and in little of it.

    stream = Stream("jets/*.h5", StreamOptions(batch=512, split="train", seed=1))
    for epoch in range(3):
        for batch in stream:
            batch.constituents, batch.offsets, batch.labels

The order of an epoch. The files are cut into *blocks* of consecutive jets, which are read in one go. A *window* is made
of blocks from random places, spread evenly over all files; its jets are shuffled as a whole and handed out. So a batch
is a random sample of the jets of a window, and a file may be sorted in whatever way.

All is a function of the options, the epoch and the files: each window is shuffled by a hash and not by the state of
a generator, so worker threads may prepare windows in any order, and a stream can go on from any batch.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from jetformer_data.errors import DataError
from jetformer_data.filesets import Paths, find_files
from jetformer_data.streaming.batches import Batch, cut
from jetformer_data.streaming.epochs import Epoch, plan_epoch
from jetformer_data.streaming.options import StreamOptions
from jetformer_data.streaming.windows import Windows

__all__ = ["Batch", "Stream", "StreamOptions"]


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
        options: StreamOptions | None = None,
        workers: int = 2,
    ) -> None:
        self.options, self.workers = options or StreamOptions(), workers
        self._windows = Windows(find_files(paths), self.options)
        self.class_names, self.feature_names = self._windows.class_names, self._windows.feature_names
        self._epoch, self._batch = 0, 0
        self._known: Epoch | None = None

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
            "options": self.options.described(),
            "files": self._windows.digest(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where another stream of the same files and options was."""
        if not {"epoch", "batch", "options", "files"} <= state.keys() or not isinstance(
            state["options"], dict
        ):
            raise DataError("cannot go on: this is not the state of a stream")
        here = self.options.described()
        for name, value in here.items():
            if state["options"].get(name) != value:
                raise DataError(
                    f"cannot go on: the stream was at '{name}' {state['options'].get(name)}, not {value}"
                )
        if state["files"] != self._windows.digest():
            raise DataError("cannot go on: the stream was over other files")
        self.set_epoch(int(state["epoch"]))
        if not 0 <= int(state["batch"]) <= len(self):
            raise DataError(f"cannot go on: the epoch has {len(self)} batches, not {state['batch']}")
        self._batch = int(state["batch"])

    def __iter__(self) -> Iterator[Batch]:
        """The rest of the epoch, from the batch after the last one that was handed out. One loop at a time."""
        plan = self._plan()
        bounds = plan.bounds[self._batch :]
        numbers = plan.windows(bounds[0], bounds[-1])
        starts = (max(0, int(plan.sums[number]) - plan.first) for number in numbers)
        windows = self._prepared(plan, numbers)
        try:
            for batch in cut(zip(starts, windows, strict=True), bounds):
                self._batch += 1
                yield batch
        finally:
            windows.close()
        self.set_epoch(plan.number + 1)

    def _prepared(self, plan: Epoch, numbers: range) -> Generator[Batch, None, None]:
        if self.workers < 1:
            yield from (self._windows.read(plan, number) for number in numbers)
            return
        pool = ThreadPoolExecutor(self.workers, "jetformer-stream")
        waiting: deque[Future[Batch]] = deque()
        try:
            for number in numbers:
                waiting.append(pool.submit(self._windows.read, plan, number))
                if len(waiting) > self.workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)

    def _plan(self) -> Epoch:
        number = self._epoch
        if self._known is None or self._known.number != number:
            if self._known is None or self.options.resample:
                self._counts = self._windows.count(number)
            self._known = plan_epoch(number, self._windows.blocks, self._counts, self.options)
        return self._known
