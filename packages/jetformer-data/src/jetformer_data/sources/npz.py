"""Arrays in an npz file, read in pieces: NumPy's own reader takes whole arrays, and runs pickles if it is let."""

from __future__ import annotations

import os
import zipfile
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from jetformer_data.errors import SourceError
from jetformer_data.sources.arrays import MOST_EXPANSION, Arrays

_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


class NpzArrays(Arrays):
    """Members are read forwards; to go back in a compressed one means to decompress it from its start."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = str(path)
        self._size = os.path.getsize(path)
        self._zip = zipfile.ZipFile(path)
        self._members: dict[str, _Member] = {}
        self.shapes = {}
        for name in self._zip.namelist():
            if name.endswith(".npy"):
                member = _Member(self._zip, name, self.path)
                self._members[name.removesuffix(".npy")] = member
                if member.dtype.kind in "fiub":
                    self.shapes[name.removesuffix(".npy")] = member.shape

    def rows(self, name: str, start: int, stop: int) -> NDArray[Any]:
        return self._members[name].rows(start, stop)

    def texts(self, name: str) -> tuple[str, ...] | None:
        member = self._members.get(name)
        if member is None or member.dtype.kind not in "SU" or len(member.shape) != 1:
            return None
        return tuple(
            t.decode() if isinstance(t, bytes) else str(t) for t in member.rows(0, member.shape[0]).tolist()
        )

    def size(self) -> int:
        return self._size

    def close(self) -> None:
        for member in self._members.values():
            member.close()
        self._zip.close()


class _Member:
    """One array: its header, and a stream that stands somewhere in its values."""

    def __init__(self, file: zipfile.ZipFile, name: str, path: str) -> None:
        self._file, self._name, self._path = file, name, path
        self._stream: IO[bytes] | None = None
        with file.open(name) as stream:
            version = np.lib.format.read_magic(stream)
            if version not in _HEADERS:
                raise SourceError(f"{path}: array '{name}' has an unknown format {version}")
            header: Any = _HEADERS[version](stream)
            self.shape, self._is_fortran, self.dtype = header
            self._first_byte = stream.tell()
        info = file.getinfo(name)
        values = self.dtype.itemsize * int(np.prod([int(n) for n in self.shape], dtype=object))
        if self.dtype.hasobject:
            self.shape = ()  # a pickle: nothing of it is read
        elif self._first_byte + values != info.file_size:
            raise SourceError(
                f"{path}: array '{name}' is truncated: {info.file_size - self._first_byte} bytes, expected {values}"
            )
        if info.file_size > MOST_EXPANSION * max(info.compress_size, 1_000):
            raise SourceError(f"{path}: array '{name}' is damaged: it claims {info.file_size} bytes")

    def rows(self, start: int, stop: int) -> NDArray[Any]:
        if self._is_fortran and len(self.shape) > 1:
            whole = np.frombuffer(self._bytes(0, self._row_bytes() * self.shape[0]), self.dtype)
            return self._native(whole.reshape(self.shape, order="F")[start:stop])
        flat = np.frombuffer(
            self._bytes(start * self._row_bytes(), (stop - start) * self._row_bytes()), self.dtype
        )
        return self._native(flat.reshape(stop - start, *self.shape[1:]))

    def close(self) -> None:
        if self._stream is not None:
            self._stream.close()

    def _row_bytes(self) -> int:
        return int(self.dtype.itemsize * np.prod(self.shape[1:], dtype=np.int64))

    def _native(self, values: NDArray[Any]) -> NDArray[Any]:
        return np.ascontiguousarray(values, self.dtype.newbyteorder("="))

    def _bytes(self, first: int, length: int) -> bytes:
        if self._stream is None:
            self._stream = self._file.open(self._name)
        self._stream.seek(self._first_byte + first)
        content = self._stream.read(length)
        if len(content) != length:
            raise SourceError(f"{self._path}: array '{self._name}' is truncated")
        return content
