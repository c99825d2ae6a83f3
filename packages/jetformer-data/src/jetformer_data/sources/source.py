"""What every reader of jets has in common: ranges, checks, one kind of error, one open file a process."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from jetformer_data.errors import DataError, SourceError
from jetformer_data.raw import RawJets
from jetformer_data.sources.checking import check
from jetformer_data.sources.survey import Survey


class Source(ABC):
    """One file of jets. A reader is a subclass in a file of its own that is listed in `opening.READERS`.

        with open_source("HToBB_000.root") as source:
            raw = source.read(0, 1000)

    format      the layout that the class reads
    containers  kinds of files that the layout comes in, as `survey` names them
    class_names classes of the jets, in the order of their labels
    """

    format: ClassVar[str]
    containers: ClassVar[tuple[str, ...]]
    class_names: tuple[str, ...]

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Open the file; raises `SourceError` where it is damaged or lacks a column."""
        self.path = Path(path)
        self.names: Mapping[str, str] = {}
        self._handle: Any = None
        self._process = -1
        try:
            with self._reading():
                self._jets = self._describe(self._file())
        except BaseException:
            self.close()
            raise

    @classmethod
    @abstractmethod
    def fits(cls, survey: Survey) -> bool:
        """Whether a file with these names in it has the layout."""

    @abstractmethod
    def _open(self) -> Any:
        """Open the file and return a handle that has `close`."""

    @abstractmethod
    def _describe(self, file: Any) -> int:
        """Find the columns, set `class_names` and `names` (our name -> the file's), and return the number of jets."""

    @abstractmethod
    def _read(self, file: Any, start: int, stop: int) -> RawJets:
        """Jets `start:stop`, which lie within the file."""

    def __len__(self) -> int:
        return self._jets

    def read(self, start: int = 0, stop: int | None = None) -> RawJets:
        """Jets `start:stop`, as a slice takes them; only these are read. Raises `SourceError` with file, jet and column."""
        first, last, _ = slice(start, stop).indices(len(self))
        last = max(first, last)
        with self._reading():
            raw = self._read(self._file(), first, last)
            check(raw, last - first, str(self.path), first, self.names)
        return raw

    def chunks(self, jets: int = 20_000) -> Iterator[RawJets]:
        """All jets, in consecutive sets of at most `jets`."""
        for start in range(0, len(self), jets):
            yield self.read(start, start + jets)

    def close(self) -> None:
        """Close the file, if this process opened it."""
        if self._handle is not None and self._process == os.getpid():
            self._handle.close()
        self._handle = None

    def __enter__(self) -> Source:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _file(self) -> Any:
        # A handle must not cross a fork: neither HDF5 nor a shared position in a file survives it.
        if self._handle is None or self._process != os.getpid():
            self._handle, self._process = self._open(), os.getpid()
        return self._handle

    def _where(self, start: int, stop: int) -> str:
        return f"{self.path}, jets {start}:{stop}"

    def _reading(self) -> Any:
        return reading(self.path)


@contextmanager
def reading(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turn whatever a library raises on a damaged file into one `SourceError` that names the file."""
    try:
        with np.errstate(all="ignore"):  # values that cannot be are refused by `check`, with their places
            yield
    except DataError:
        raise
    except FileNotFoundError as error:
        raise SourceError(f"{path}: there is no such file") from error
    except MemoryError as error:
        raise SourceError(f"{path}: is damaged: it asks for more memory than there is") from error
    # struct.error, zlib.error, ArrowInvalid, KeyError, RecursionError, ...: anything comes
    except Exception as error:
        raise SourceError(f"{path}: is damaged or truncated and cannot be read ({_reason(error)})") from error


def _reason(error: Exception) -> str:
    lines = [line.strip() for line in str(error).strip("'\"").splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0][:200]}" if lines else type(error).__name__
