"""The array schema on disk: one HDF5 file of ragged jets, written atomically and readable in part.

from jetformer_data import schema
schema.write("jets.h5", jets)
some = schema.read("jets.h5", start=1000, stop=2000)
schema.check("jets.h5")
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from jetformer_data.errors import DataError, SchemaError
from jetformer_data.jets import JET_UNITS, UNITS, Jets, Normalisation
from jetformer_data.places import Rows
from jetformer_data.validation import require_array, require_labels, validate, validate_structure

__all__ = [
    "JET_UNITS",
    "NAME",
    "UNITS",
    "VERSION",
    "DataError",
    "Jets",
    "Normalisation",
    "Reader",
    "SchemaError",
    "Writer",
    "check",
    "read",
    "write",
]

NAME = "jetformer-jets"
VERSION = "1.1"
# HDF5 1.10's layout has checksums over all that is not data, strings of fixed length included. Without them, one of
# thousand files with a few flipped bytes crashed the HDF5 library, and another one hung it.
_LAYOUT = ("v110", "v110")
_CHUNK_ROWS = 16_384
_CHUNK_JETS = 8_192


class Writer:
    """Appends sets of jets to one file; the file appears under its name only when the `with` block succeeds.

    The rows go to `partial`, on the same file system (`.NAME.partial` beside the target unless given), which a later
    writer of the same target replaces.

        with Writer("jets.h5") as writer:
            for jets in sets:
                writer.append(jets)

    Set `normalisation` or `provenance` before the block ends to store other values than those of the first set.
    """

    def __init__(self, path: str | os.PathLike[str], partial: str | os.PathLike[str] | None = None) -> None:
        self.path = Path(path)
        self.partial = self.path.with_name(f".{self.path.name}.partial") if partial is None else Path(partial)
        self.jets = 0
        self.normalisation: Normalisation | None = None
        self.provenance: dict[str, Any] | None = None
        self._first: Jets | None = None

    def __enter__(self) -> Writer:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = h5py.File(self.partial, "w", libver=_LAYOUT)
        except OSError as error:
            raise SchemaError(f"{self.path}: cannot be written ({_reason(error)})") from error
        return self

    def append(self, jets: Jets) -> None:
        """Write `jets` after those already written; raises `SchemaError` where they break the schema."""
        validate(jets, f"jets to be written to {self.path}", self.jets)
        if self._first is None:
            self._create(jets)
        self._same_columns(jets)
        rows = len(self._file["constituents"])
        _extend(self._file["constituents"], jets.constituents)
        _extend(self._file["offsets"], jets.offsets[1:] + rows)
        _extend(self._file["labels"], jets.labels)
        if jets.jet_features is not None:
            _extend(self._file["jet_features"], jets.jet_features)
        if jets.groups is not None:
            _extend(self._file["groups"], jets.groups)
        self.jets += len(jets)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._finish()
        finally:
            self._file.close()
            if self.partial.exists() and (kind is not None or self._first is None):
                self.partial.unlink()
        if kind is None:
            _synchronise(self.partial)
            os.replace(self.partial, self.path)

    def _finish(self) -> None:
        if self._first is None:
            raise SchemaError(f"{self.path}: no jets were appended, so there is nothing to write")
        normalisation = self.normalisation or self._first.normalisation
        if normalisation is not None:
            self._file.attrs["normalisation_mean"] = np.asarray(normalisation.mean, np.float64)
            self._file.attrs["normalisation_std"] = np.asarray(normalisation.std, np.float64)
        provenance = self._first.provenance if self.provenance is None else self.provenance
        _set_text(self._file, "provenance", json.dumps(provenance, sort_keys=True))

    def _create(self, jets: Jets) -> None:
        file, self._first = self._file, jets
        _set_text(file, "schema", NAME)
        _set_text(file, "schema_version", VERSION)
        _set_strings(file, "class_names", jets.class_names)
        _set_strings(file, "feature_names", jets.feature_names)
        _set_strings(file, "feature_units", jets.feature_units)
        columns = len(jets.feature_names)
        file.create_dataset(
            "constituents", (0, columns), "f4", maxshape=(None, columns), chunks=(_CHUNK_ROWS, columns)
        )
        file.create_dataset("offsets", data=np.zeros(1, np.int64), maxshape=(None,), chunks=(_CHUNK_JETS,))
        file.create_dataset("labels", (0,), "i8", maxshape=(None,), chunks=(_CHUNK_JETS,))
        if jets.jet_features is not None:
            _set_strings(file, "jet_feature_names", jets.jet_feature_names)
            _set_strings(file, "jet_feature_units", jets.jet_feature_units)
            columns = len(jets.jet_feature_names)
            file.create_dataset(
                "jet_features", (0, columns), "f4", maxshape=(None, columns), chunks=(_CHUNK_JETS, columns)
            )
        if jets.groups is not None:
            file.create_dataset("groups", (0,), "i8", maxshape=(None,), chunks=(_CHUNK_JETS,))

    def _same_columns(self, jets: Jets) -> None:
        assert self._first is not None
        for kind in (
            "feature_names",
            "feature_units",
            "jet_feature_names",
            "jet_feature_units",
            "class_names",
        ):
            here, there = getattr(jets, kind), getattr(self._first, kind)
            if tuple(here) != tuple(there):
                raise SchemaError(
                    f"{self.path}: '{kind}' changed from {list(there)} to {list(here)} between two sets"
                )
        if (jets.groups is None) != (self._first.groups is None):
            raise SchemaError(f"{self.path}: 'groups' must be present in every set of jets or in none")


class Reader:
    """An open file of jets: names at once, jets in part. Raises `SchemaError` where the file breaks the schema.

    with Reader("jets.h5") as reader:
        for jets in reader.chunks(10_000):
            ...
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._file = _open(self.path)
        try:
            with self._reading():
                self._header()
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __len__(self) -> int:
        return int(self._file["labels"].shape[0])

    @property
    def version(self) -> str:
        """Schema version that the file states."""
        return _text(self._file, "schema_version", str(self.path))

    def read(self, start: int | None = None, stop: int | None = None, values: bool = True) -> Jets:
        """Jets `start:stop` (as in a slice); `offsets` starts at 0 again. What is read is checked.

        `values=False` lets labels and features have any value, for a program that looks for what is wrong with them.
        """
        first, last, _ = slice(start, stop).indices(len(self))
        last = max(first, last)
        with self._reading():
            offsets: NDArray[np.int64] = self._file["offsets"][first : last + 1]
            rows = len(self._file["constituents"])
            if offsets[0] < 0 or offsets[-1] > rows:
                raise SchemaError(
                    f"{self.path}: 'offsets' points to row {offsets.min() if offsets[0] < 0 else offsets[-1]} at jets "
                    f"{first}:{last}, but 'constituents' has {rows} rows"
                )
            jets = Jets(
                constituents=self._file["constituents"][offsets[0] : max(offsets[0], offsets[-1])],
                offsets=offsets - offsets[0],
                labels=self._file["labels"][first:last],
                jet_features=self._file["jet_features"][first:last] if self.jet_feature_names else None,
                feature_names=self.feature_names,
                feature_units=self.feature_units,
                jet_feature_names=self.jet_feature_names,
                jet_feature_units=self.jet_feature_units,
                class_names=self.class_names,
                normalisation=self.normalisation,
                provenance=self.provenance,
                groups=self._file["groups"][first:last] if self.has_groups else None,
            )
        (validate if values else validate_structure)(jets, str(self.path), first)
        return jets

    def per_jet(self, name: str, start: int = 0, stop: int | None = None) -> NDArray[Any]:
        """`labels`, `groups` or `jet_features` of jets `start:stop` alone, `[jets]` or `[jets, jet_features]`."""
        with self._reading():
            values: NDArray[Any] = self._file[name][start:stop]
        if name == "labels":
            require_labels(values, len(self.class_names), str(self.path), start)
        return values

    def rows(self, name: str) -> Rows:
        """Where the rows of a dataset lie in the file, for a `RowReader`."""
        with self._reading():
            return Rows.of(self._file[name])

    def chunks(self, jets: int = 20_000, start: int = 0, stop: int | None = None) -> Iterator[Jets]:
        """Consecutive sets of at most `jets` jets."""
        first, last, _ = slice(start, stop).indices(len(self))
        for begin in range(first, last, jets):
            yield self.read(begin, min(begin + jets, last))

    def _header(self) -> None:
        file, where = self._file, str(self.path)
        if _text(file, "schema", where) != NAME:
            raise SchemaError(
                f"{where}: attribute 'schema' is '{_text(file, 'schema', where)}', expected '{NAME}'"
            )
        _require_version(_text(file, "schema_version", where), where)
        self.feature_names = _strings(file, "feature_names", where)
        self.feature_units = _strings(file, "feature_units", where)
        self.class_names = _strings(file, "class_names", where)
        has_jet_features = "jet_features" in file
        self.jet_feature_names = _strings(file, "jet_feature_names", where) if has_jet_features else ()
        self.jet_feature_units = _strings(file, "jet_feature_units", where) if has_jet_features else ()
        self.has_groups = "groups" in file
        self.normalisation = _stored_normalisation(file, where)
        self.provenance = _stored_provenance(file, where)
        self._datasets(where)

    def _datasets(self, where: str) -> None:
        optional = [name for name in ("jet_features", "groups") if name in self._file]
        for name in ("constituents", "offsets", "labels", *optional):
            if not isinstance(self._file.get(name), h5py.Dataset):
                raise SchemaError(f"{where}: dataset '{name}' is missing")
        require_array(self._file["labels"], "labels", np.int64, (None,), where)
        require_array(self._file["offsets"], "offsets", np.int64, (len(self) + 1,), where)
        columns = len(self.feature_names)
        require_array(self._file["constituents"], "constituents", np.float32, (None, columns), where)
        if "jet_features" in self._file:
            shape = (len(self), len(self.jet_feature_names))
            require_array(self._file["jet_features"], "jet_features", np.float32, shape, where)
        if self.has_groups:
            require_array(self._file["groups"], "groups", np.int64, (len(self),), where)
        first, last, rows = (
            self._file["offsets"][0],
            self._file["offsets"][-1],
            len(self._file["constituents"]),
        )
        if first != 0:
            raise SchemaError(f"{where}: 'offsets' starts at {first}, expected 0")
        if last != rows:
            raise SchemaError(f"{where}: 'offsets' ends at {last}, but 'constituents' has {rows} rows")

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except (OSError, RuntimeError, KeyError, TypeError, ValueError) as error:
            raise SchemaError(f"{self.path}: is damaged and cannot be read ({_reason(error)})") from error


def write(path: str | os.PathLike[str], jets: Jets) -> None:
    """Store `jets` in one file, atomically."""
    with Writer(path) as writer:
        writer.append(jets)


def read(path: str | os.PathLike[str], start: int | None = None, stop: int | None = None) -> Jets:
    """Jets `start:stop` of a file; only these are read from disk."""
    with Reader(path) as reader:
        return reader.read(start, stop)


def check(path: str | os.PathLike[str]) -> None:
    """Read the whole file in pieces; raises `SchemaError` with a sentence that names file and place."""
    with Reader(path) as reader:
        for _ in reader.chunks():
            pass


def _open(path: Path) -> h5py.File:
    if not path.exists():
        raise SchemaError(f"{path}: there is no such file")
    if not path.is_file():
        raise SchemaError(f"{path}: is not a file")
    try:
        if not h5py.is_hdf5(path):
            raise SchemaError(f"{path}: is not an HDF5 file")
        return h5py.File(path, "r")
    except OSError as error:
        raise SchemaError(f"{path}: is truncated or cannot be opened ({_reason(error)})") from error


def _require_version(version: str, where: str) -> None:
    major = version.split(".")[0]
    if major != VERSION.split(".")[0]:
        raise SchemaError(
            f"{where}: schema version {version} is not known here (this program reads {VERSION}); "
            "install a newer jetformer-data"
        )


def _text(file: h5py.File, name: str, where: str) -> str:
    if name not in file.attrs:
        raise SchemaError(f"{where}: attribute '{name}' is missing")
    value = file.attrs[name]
    if not isinstance(value, (str, bytes)):
        raise SchemaError(f"{where}: attribute '{name}' is not a string")
    return value.decode() if isinstance(value, bytes) else value


def _strings(file: h5py.File, name: str, where: str) -> tuple[str, ...]:
    if name not in file.attrs:
        raise SchemaError(f"{where}: attribute '{name}' is missing")
    return tuple(v.decode() if isinstance(v, bytes) else str(v) for v in np.atleast_1d(file.attrs[name]))


def _set_strings(file: h5py.File, name: str, values: tuple[str, ...]) -> None:
    texts = np.array([value.encode() for value in values], np.bytes_)
    file.attrs.create(name, texts, dtype=h5py.string_dtype("utf-8", max(1, texts.itemsize)))


def _set_text(file: h5py.File, name: str, value: str) -> None:
    file.attrs.create(name, value, dtype=h5py.string_dtype("utf-8", max(1, len(value.encode()))))


def _stored_normalisation(file: h5py.File, where: str) -> Normalisation | None:
    present = [f"normalisation_{name}" in file.attrs for name in ("mean", "std")]
    if not any(present):
        return None
    if not all(present):
        raise SchemaError(f"{where}: 'normalisation_mean' and 'normalisation_std' must be present together")
    return Normalisation(
        np.asarray(file.attrs["normalisation_mean"]), np.asarray(file.attrs["normalisation_std"])
    )


def _stored_provenance(file: h5py.File, where: str) -> dict[str, Any]:
    try:
        provenance = json.loads(_text(file, "provenance", where))
    except json.JSONDecodeError as error:
        raise SchemaError(f"{where}: attribute 'provenance' is not JSON ({error})") from error
    if not isinstance(provenance, dict):
        raise SchemaError(f"{where}: attribute 'provenance' is not a JSON object")
    return provenance


def _extend(dataset: h5py.Dataset, rows: NDArray[Any]) -> None:
    before = dataset.shape[0]
    dataset.resize(before + len(rows), axis=0)
    dataset[before:] = rows


def _synchronise(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _reason(error: Exception) -> str:
    return str(error).strip("'\"").splitlines()[0] if str(error) else type(error).__name__
