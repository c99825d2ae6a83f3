"""From what a user names, such as a folder, a glob or an archive, to a list of files."""

from __future__ import annotations

import os
import tarfile
import uuid
from collections.abc import Iterable, Sequence
from glob import glob, has_magic
from pathlib import Path, PurePosixPath

from jetformer_data.errors import SourceError
from jetformer_data.sources.source import reading
from jetformer_data.sources.survey import kind_of

_ARCHIVES = ("gzip", "bzip2", "xz")
_SUFFIXES = (".h5", ".hdf5", ".hdf", ".root", ".parquet", ".pq", ".npz")
_BLOCK = 1 << 20


def expand(
    paths: str | os.PathLike[str] | Sequence[str | os.PathLike[str]], workspace: str | os.PathLike[str]
) -> list[Path]:
    """Files that are meant by files, folders, globs and tar archives, each sorted by name.

    Archives are unpacked into `workspace`, once: members that are there already are not unpacked again. Of folders and
    archives, files whose names end as jets' do are taken. Raises `SourceError` where nothing is found, or a file is
    certainly not of jets.
    """
    given = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    if not given:
        raise SourceError("no files of jets were named")
    files = [file for path in given for file in _meant(Path(path), Path(workspace))]
    return list(dict.fromkeys(files))


def _meant(path: Path, workspace: Path) -> list[Path]:
    if path.is_dir():
        found = [f for f in _sorted(path.rglob("*")) if f.is_file() and _is_named_as_jets(f.name)]
        if not found:
            raise SourceError(f"{path}: no file in this folder ends in {', '.join(_SUFFIXES)}")
        return found
    if has_magic(str(path)) and not path.exists():
        matched = _sorted(Path(name) for name in glob(str(path), recursive=True))
        if not matched:
            raise SourceError(f"{path}: no file has such a name")
        return [file for one in matched for file in _meant(one, workspace)]
    return _file(path, workspace)


def _file(path: Path, workspace: Path) -> list[Path]:
    with reading(path):
        kind = kind_of(path)
        if kind in _ARCHIVES or (kind is None and tarfile.is_tarfile(path)):
            return _unpack(path, workspace / f"{path.name}.unpacked")
    if kind is None:
        raise SourceError(f"{path}: is no file of jets (neither HDF5, ROOT, Parquet, npz nor a tar archive)")
    return [path]


def _unpack(path: Path, folder: Path) -> list[Path]:
    """Members of an archive; each appears under its name only when it is complete, so that a killed run can go on."""
    files = []
    with tarfile.open(path) as archive:
        for member in archive:
            inside = PurePosixPath(member.name)
            if inside.is_absolute() or ".." in inside.parts:
                raise SourceError(f"{path}: member '{member.name}' would be unpacked outside of its folder")
            if not member.isfile() or not _is_named_as_jets(inside.name):
                continue
            target = folder / inside
            if not (target.exists() and target.stat().st_size == member.size):
                _unpack_member(path, archive, member, target)
            files.append(target)
    if not files:
        raise SourceError(f"{path}: no member of this archive ends in {', '.join(_SUFFIXES)}")
    return _sorted(files)


def _unpack_member(path: Path, archive: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> None:
    content = archive.extractfile(member)
    assert content is not None, "a regular member has content"
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.{uuid.uuid4().hex}.partial")
    try:
        with partial.open("wb") as file:
            while block := content.read(_BLOCK):
                file.write(block)
        if partial.stat().st_size != member.size:
            raise SourceError(f"{path}: member '{member.name}' is truncated")
        os.replace(partial, target)
    finally:
        partial.unlink(missing_ok=True)


def _is_named_as_jets(name: str) -> bool:
    # macOS leaves files ._NAME beside the real ones
    return not name.startswith(".") and name.lower().endswith(_SUFFIXES)


def _sorted(paths: Iterable[Path]) -> list[Path]:
    return sorted(paths, key=str)
