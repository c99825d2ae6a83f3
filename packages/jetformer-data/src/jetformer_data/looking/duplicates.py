"""Jets that occur twice: found by a hash of what they hold, in memory that does not grow with the file."""

from __future__ import annotations

from dataclasses import dataclass
from tempfile import SpooledTemporaryFile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jetformer_data.hashing import splitmix64
from jetformer_data.raw import RawJets

_BUCKETS = 64
_IN_MEMORY = 2**20  # bytes a bucket, beyond which it lies on disk
_RECORD = np.dtype([("hash", np.uint64), ("jet", np.int64), ("label", np.int64)])


@dataclass(frozen=True)
class Repeated:
    """How many jets occurred before, how many of them under another label, and the first with its original."""

    jets: int
    relabelled: int
    first: tuple[int, int] | None


def content_hashes(raw: RawJets) -> NDArray[np.uint64]:
    """A number for what each jet holds, uint64 `[jets]`; the same whatever the order of its constituents."""
    rows = np.zeros(int(raw.offsets[-1]), np.uint64)
    for name in sorted(raw.constituents):
        exact = np.asarray(raw.constituents[name], np.float64) + 0.0  # -0.0 becomes 0.0
        rows = splitmix64(rows ^ exact.view(np.uint64))
    running = np.concatenate([np.zeros(1, np.uint64), np.cumsum(rows, dtype=np.uint64)])
    return splitmix64(running[raw.offsets[1:]] - running[raw.offsets[:-1]])


class DuplicateFinder:
    """Jets with the same hash of 64 bits are the same jet: by chance two of 100 million agree once in 3,700 files.

    The hashes go to buckets by their lowest bits, each in a temporary file once it has grown, and are compared bucket by
    bucket at the end. Jets without constituents are not compared.
    """

    def __init__(self) -> None:
        self._buckets: list[Any] = []

    def __enter__(self) -> DuplicateFinder:
        self._buckets = [SpooledTemporaryFile(_IN_MEMORY) for _ in range(_BUCKETS)]  # noqa: SIM115
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._buckets:
            file.close()

    def add(self, raw: RawJets, first_jet: int) -> None:
        """Take in jets; the first of them is jet `first_jet` of the file."""
        filled = np.diff(raw.offsets) > 0
        records = np.empty(int(filled.sum()), _RECORD)
        records["hash"] = content_hashes(raw)[filled]
        records["jet"] = first_jet + np.flatnonzero(filled)
        records["label"] = raw.labels[filled]
        bucket = records["hash"] % np.uint64(_BUCKETS)
        order = np.argsort(bucket, kind="stable")
        ends = np.cumsum(np.bincount(bucket.astype(np.int64), minlength=_BUCKETS))[:-1]
        for file, part in zip(self._buckets, np.split(records[order], ends), strict=True):
            if len(part):
                file.write(part.tobytes())

    def repeated(self) -> Repeated:
        """What was found in the jets so far."""
        jets = relabelled = 0
        first: tuple[int, int] | None = None
        for file in self._buckets:
            file.seek(0)
            records = np.frombuffer(file.read(), _RECORD)
            records = records[np.lexsort((records["jet"], records["hash"]))]
            again = np.flatnonzero(records["hash"][1:] == records["hash"][:-1]) + 1
            if not len(again):
                continue
            jets += len(again)
            _, originals = np.unique(records["hash"], return_index=True)
            original = originals[np.searchsorted(originals, again, side="right") - 1]
            relabelled += int((records["label"][again] != records["label"][original]).sum())
            here = again[np.argmin(records["jet"][again])]
            pair = (int(records["jet"][here]), int(records["jet"][original[again == here][0]]))
            first = pair if first is None else min(first, pair)
        return Repeated(jets, relabelled, first)
