"""What kind of file this is and which names are in it: enough to tell who can read it, without reading it."""

from __future__ import annotations

import os
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py

from jetformer_data.errors import SourceError
from jetformer_data.extras import require

_HDF5 = b"\x89HDF\r\n\x1a\n"
_MAGIC = {
    _HDF5: "HDF5",
    b"root": "ROOT",
    b"PAR1": "Parquet",
    b"PK\x03\x04": "npz",
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
}
_DEEPEST = 3


@dataclass(frozen=True)
class Survey:
    """`kind` of file ("HDF5", "ROOT", "Parquet", "npz"), `names` of what is in it, and text attributes of its top."""

    kind: str
    names: frozenset[str]
    attributes: dict[str, str] = field(default_factory=dict)


def kind_of(path: str | os.PathLike[str]) -> str | None:
    """The kind of a file by its first bytes, None where nobody knows it."""
    with Path(path).open("rb") as file:
        start = file.read(8)
    for magic, kind in _MAGIC.items():
        if start.startswith(magic):
            return kind
    # An HDF5 file may start with a block of the user's own.
    return "HDF5" if h5py.is_hdf5(path) else None


def survey(path: str | os.PathLike[str]) -> Survey:
    """Names in the file; raises `SourceError` where it is of no kind that holds jets."""
    kind = kind_of(path)
    if kind == "HDF5":
        return _hdf5(path)
    if kind == "ROOT":
        return Survey(kind, _root(path))
    if kind == "Parquet":
        return Survey(kind, frozenset(require("pyarrow.parquet", "parquet").read_schema(path).names))
    if kind == "npz":
        with zipfile.ZipFile(path) as file:
            return Survey(kind, frozenset(name.removesuffix(".npy") for name in file.namelist()))
    if kind is not None:
        raise SourceError(
            f"{path}: is an archive ({kind}); name it to 'convert', which unpacks it, or unpack it"
        )
    raise SourceError(f"{path}: is neither an HDF5, ROOT, Parquet nor npz file")


def _hdf5(path: str | os.PathLike[str]) -> Survey:
    names: set[str] = set()

    def visit(group: h5py.Group, prefix: str, depth: int) -> None:
        for name in group:
            names.add(prefix + name)
            # a link may lead nowhere, or round in a circle
            item = group.get(name)
            if isinstance(item, h5py.Group) and depth < _DEEPEST:
                visit(item, f"{prefix}{name}/", depth + 1)

    with h5py.File(path, "r") as file:
        visit(file, "", 1)
        schema = file.attrs.get("schema")
        schema = schema.decode(errors="replace") if isinstance(schema, bytes) else schema
        attributes = {"schema": schema} if isinstance(schema, str) else {}
    return Survey("HDF5", frozenset(names), attributes)


def _root(path: str | os.PathLike[str]) -> frozenset[str]:
    """Names of all that lies at the top, and `TREE/BRANCH` of each tree."""
    with open_root(path) as file:
        trees = {name.split(";")[0] for name, kind in file.classnames().items() if kind == "TTree"}
        names = set(file.keys(recursive=False, cycle=False))
        for tree in trees:
            names |= {f"{tree}/{branch}" for branch in file[tree].keys(recursive=False)}
    return frozenset(names)


def open_root(path: str | os.PathLike[str]) -> Any:
    """A ROOT file that is read piece by piece: without threads, which a fork would lose, and not mapped into memory,
    since pages of a mapped file count as the program's.
    """
    uproot = require("uproot", "root")
    stream = Path(path).open("rb")  # noqa: SIM115 (uproot closes it with its file)
    try:
        return uproot.open(stream, use_threads=False, object_cache=None, array_cache=None)
    except BaseException:
        stream.close()
        raise
