"""Four-vectors in Parquet: a list column each of px, py, pz and energy, or numbered columns of numbers."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jetformer_data.errors import SourceError
from jetformer_data.sources.arrays import Arrays
from jetformer_data.sources.names import canonical_columns
from jetformer_data.sources.parquet import ParquetColumns
from jetformer_data.sources.ragged import same_offsets
from jetformer_data.sources.vector_layouts import Columns, Layout


class ParquetArrays(Arrays):
    """Columns of numbers as arrays; `list_names` are the columns of lists."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = str(path)
        self._size = os.path.getsize(path)
        self.columns = ParquetColumns(path)
        self.list_names = [name for name in self.columns.names if self.columns.is_list(name)]
        self.shapes = {
            name: (self.columns.rows,) for name in self.columns.names if name not in self.list_names
        }

    def rows(self, name: str, start: int, stop: int) -> NDArray[Any]:
        return self.columns.numbers(self.columns.table([name], start, stop), name)

    def table(self, names: Sequence[str], start: int, stop: int) -> NDArray[Any]:
        table = self.columns.table(names, start, stop)
        return np.stack([self.columns.numbers(table, name) for name in names], axis=1)

    def texts(self, name: str) -> tuple[str, ...] | None:
        return None

    def size(self) -> int:
        return self._size

    def close(self) -> None:
        self.columns.close()


class ListLayout(Layout):
    """One list a jet and column."""

    def __init__(self, arrays: ParquetArrays) -> None:
        self._arrays = arrays
        self.names = canonical_columns(arrays.list_names)
        missing = [name for name in ("px", "py", "pz", "energy") if name not in self.names]
        if missing and not {"pt", "eta", "phi"} <= self.names.keys():
            raise SourceError(
                f"{arrays.path}: column '{missing[0]}' is missing: lists of px, py, pz and energy, or "
                "pt, eta and phi, are expected"
            )
        self.jets = arrays.columns.rows

    def read(self, start: int, stop: int) -> tuple[Columns, NDArray[np.int64]]:
        table = self._arrays.columns.table(list(self.names.values()), start, stop)
        lists = {ours: self._arrays.columns.lists(table, name, start) for ours, name in self.names.items()}
        offsets = same_offsets(lists, self._arrays.path, start, self.names)
        return {ours: values for ours, (_, values) in lists.items()}, offsets
