"""Files of scores, one row a jet: ROOT (TTree `scores`), HDF5 (a dataset a column in the group `scores`) or Parquet.

A column `score_CLASS` float32 a class, `label` int64 where it is known, and `file_index` and `jet_index`, which say which
jet it is. `about` (a string in ROOT, an attribute in HDF5, metadata in Parquet) is JSON: model, files, classes, split.

A file is written row group by row group under another name, and gets its own when it is whole.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from jetformer_model.errors import ModelError
from jetformer_model.extras import require
from jetformer_model.scoring import Scores
from jetformer_model.state import require_folder

Columns = dict[str, NDArray[Any]]
Append = Callable[[Columns], None]
_CHUNK_JETS = 8192


def columns_of(scores: Scores, class_names: tuple[str, ...]) -> Columns:
    """The columns of a file; what is not a letter, a digit or _ in the name of a class becomes _."""
    columns: Columns = {
        f"score_{re.sub(r'[^0-9A-Za-z_]', '_', name)}": np.ascontiguousarray(column)
        for name, column in zip(class_names, scores.probabilities.T, strict=True)
    }
    if len(columns) < len(class_names):
        raise ModelError(
            f"classes {', '.join(class_names)}: two of them would have the same column of scores"
        )
    if scores.labels is not None:
        columns["label"] = scores.labels
    return columns | {"file_index": scores.file_index, "jet_index": scores.jet_index}


@contextmanager
def score_file(path: str | os.PathLike[str], about: dict[str, Any]) -> Iterator[Append]:
    """A function that appends columns to a new file; the file appears when the `with` block succeeds."""
    target = Path(path)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        with require_writer(target)(temporary, json.dumps(about)) as append:
            yield append
        os.replace(temporary, target)
    except OSError as error:
        raise ModelError(f"{target}: cannot be written ({error})") from error
    finally:
        temporary.unlink(missing_ok=True)


def require_writer(path: str | os.PathLike[str]) -> Callable[[Path, str], AbstractContextManager[Append]]:
    """What writes to such a file; raises ModelError where it cannot be: to be asked before the work."""
    suffix = Path(path).suffix
    if suffix not in WRITERS:
        raise ModelError(f"{path}: expected a file name that ends in {', '.join(WRITERS)}")
    if suffix in _EXTRAS:
        require(*_EXTRAS[suffix])
    require_folder(path)
    return WRITERS[suffix]


def stored_logits(
    path: str | os.PathLike[str], jet_index: NDArray[np.int64]
) -> tuple[NDArray[np.float64], tuple[str, ...], float]:
    """Logarithms of scores [jets, classes] of an HDF5 file for the jets at `jet_index`, class names, and min_pt_gev.

    `jetformer-model predict` and `jetformer-fpga emulate` write such files; one that scores several files is refused,
    since a position then says nothing. Scores below 1e-30 count as that. Raises ModelError.
    """
    try:
        with h5py.File(path) as file:
            about = json.loads(file.attrs["about"])
            columns = {name: column[:] for name, column in file["scores"].items()}
            names = tuple(about["class_names"])
            scores = np.stack(
                [columns[f"score_{re.sub(r'[^0-9A-Za-z_]', '_', name)}"] for name in names], axis=1
            )
            stored, files = columns["jet_index"], columns["file_index"]
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise ModelError(
            f"{path}: expected HDF5 scores as `predict --out scores.h5` writes them ({error})"
        ) from error
    if files.any():
        raise ModelError(f"{path}: it holds scores of several files; score one file, and evaluate that")
    order = np.argsort(stored, kind="stable")
    place = np.minimum(np.searchsorted(stored, jet_index, sorter=order), max(len(stored) - 1, 0))
    found = stored[order[place]] == jet_index if len(stored) else np.zeros(len(jet_index), bool)
    if not found.all():
        raise ModelError(
            f"{path}: {(~found).sum():,} of {len(found):,} jets have no scores, jet {jet_index[~found][0]} among them; "
            "were they made from this file and split?"
        )
    chosen = scores[order[place]].astype(np.float64)
    return np.log(np.maximum(chosen, 1e-30)), names, float(about.get("min_pt_gev", 0.0))


@contextmanager
def _root(path: Path, about: str) -> Iterator[Append]:
    uproot = require("uproot", "root")
    with uproot.recreate(path) as file:
        file["about"] = about
        trees: list[Any] = []

        def append(columns: Columns) -> None:
            if not trees:
                trees.append(file.mktree("scores", {name: values.dtype for name, values in columns.items()}))
            trees[0].extend(columns)

        yield append


@contextmanager
def _hdf5(path: Path, about: str) -> Iterator[Append]:
    with h5py.File(path, "w") as file:
        file.attrs["about"] = about
        group = file.create_group("scores")

        def append(columns: Columns) -> None:
            for name, values in columns.items():
                if name not in group:
                    group.create_dataset(name, (0,), values.dtype, maxshape=(None,), chunks=(_CHUNK_JETS,))
                before = len(group[name])
                group[name].resize(before + len(values), axis=0)
                group[name][before:] = values

        yield append


@contextmanager
def _parquet(path: Path, about: str) -> Iterator[Append]:
    pyarrow, parquet = (require(module, "parquet") for module in ("pyarrow", "pyarrow.parquet"))
    writers: list[Any] = []

    def append(columns: Columns) -> None:
        table = pyarrow.table(columns)
        if not writers:
            writers.append(parquet.ParquetWriter(path, table.schema.with_metadata({"about": about})))
        writers[0].write_table(table.replace_schema_metadata({"about": about}))

    try:
        yield append
    finally:
        for writer in writers:
            writer.close()


WRITERS: dict[str, Callable[[Path, str], AbstractContextManager[Append]]] = {
    ".root": _root,
    ".h5": _hdf5,
    ".parquet": _parquet,
}
_EXTRAS = {".root": ("uproot", "root"), ".parquet": ("pyarrow", "parquet")}
