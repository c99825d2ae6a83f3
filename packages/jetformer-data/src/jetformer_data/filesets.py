"""Which files are meant by a path, a glob, a folder, or several of them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from glob import glob, has_magic
from pathlib import Path

from jetformer_data.errors import DataError

Paths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]


def find_files(paths: Paths) -> list[Path]:
    """Files of the array schema; those of a glob, and the `.h5` files of a folder, are sorted by name."""
    given = [paths] if isinstance(paths, (str, os.PathLike)) else list(paths)
    if not given:
        raise DataError("no files of jets were given")
    return [file for path in given for file in _meant(Path(path))]


def _meant(path: Path) -> list[Path]:
    if path.is_dir():
        found = sorted(path.glob("*.h5"))
    elif has_magic(str(path)) and not path.exists():
        found = sorted(map(Path, glob(str(path), recursive=True)))
    else:
        return [path]
    if not found:
        raise DataError(f"{path}: no files of jets are there")
    return found
