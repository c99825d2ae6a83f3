"""Columns of Parquet files: a range of rows, numbers or lists of numbers."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jetformer_data.errors import SourceError
from jetformer_data.extras import require
from jetformer_data.sources.ragged import Lists

# Parquet's own limits are far off: a damaged footer may claim any number of rows.
_MOST_ROWS_A_BYTE = 1_000


class ParquetColumns:
    """An open file. Only the row groups and columns that a range needs are read, without threads, which a fork loses."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = str(path)
        self._file = require("pyarrow.parquet", "parquet").ParquetFile(
            path, pre_buffer=False, page_checksum_verification=True
        )
        self.names: list[str] = self._file.schema_arrow.names
        metadata = self._file.metadata
        groups = [metadata.row_group(k).num_rows for k in range(metadata.num_row_groups)]
        self.rows = metadata.num_rows
        if sum(groups) != self.rows or min(groups, default=0) < 0:
            raise SourceError(
                f"{path}: is damaged: row groups of {sum(groups)} rows where {self.rows} are expected"
            )
        if self.rows > _MOST_ROWS_A_BYTE * os.path.getsize(path):
            raise SourceError(f"{path}: is damaged: it claims {self.rows} rows")
        self._starts = np.concatenate([[0], np.cumsum(groups)]).astype(np.int64)
        # Columns -> number and content of the row group that was read last.
        self._cached: dict[tuple[str, ...], tuple[int, Any]] = {}

    def close(self) -> None:
        self._cached = {}
        self._file.close()

    def table(self, columns: Sequence[str], start: int, stop: int) -> Any:
        """Rows `start:stop` of these columns as an Arrow table."""
        first = max(0, int(np.searchsorted(self._starts, start, side="right")) - 1)
        last = max(first + 1, int(np.searchsorted(self._starts, stop, side="left")))
        parts = []
        for group in range(first, min(last, len(self._starts) - 1)):
            begin, end = int(self._starts[group]), int(self._starts[group + 1])
            low, high = max(start, begin), min(stop, end)
            parts.append(self._group(group, tuple(columns)).slice(low - begin, max(0, high - low)))
        if not parts:
            return self._file.schema_arrow.empty_table().select(list(columns))
        return require("pyarrow", "parquet").concat_tables(parts)

    def _group(self, number: int, columns: tuple[str, ...]) -> Any:
        # Chunks of jets are smaller than a row group, which is decompressed as a whole.
        if self._cached.get(columns, (-1, None))[0] != number:
            self._cached.pop(columns, None)
            table = self._file.read_row_group(number, columns=list(columns), use_threads=False)
            # Arrow does not check the content of lists that it reads.
            table.validate(full=True)
            self._cached[columns] = (number, table)
        return self._cached[columns][1]

    def numbers(self, table: Any, name: str) -> NDArray[Any]:
        """A column of numbers, `[rows]`."""
        column = self._column(table, name)
        return self._to_numpy(column, name)

    def lists(self, table: Any, name: str, first_row: int) -> Lists:
        """A column of lists of numbers: offsets `[rows + 1]` and values."""
        types = require("pyarrow", "parquet").types
        column = self._column(table, name)
        if not (types.is_list(column.type) or types.is_large_list(column.type)):
            raise SourceError(f"{self.path}: column '{name}': holds {column.type}, expected lists of numbers")
        if column.null_count:
            row = int(np.argmax(column.is_null().to_numpy(zero_copy_only=False)))
            raise SourceError(f"{self.path}: jet {first_row + row}, column '{name}': has no list")
        offsets = column.offsets.to_numpy(zero_copy_only=False).astype(np.int64)
        values = column.flatten()
        return offsets - offsets[0] if len(offsets) else np.zeros(1, np.int64), self._to_numpy(values, name)

    def is_list(self, name: str) -> bool:
        types = require("pyarrow", "parquet").types
        kind = self._file.schema_arrow.field(name).type
        return bool(types.is_list(kind) or types.is_large_list(kind))

    def _column(self, table: Any, name: str) -> Any:
        column = table.column(name).combine_chunks()
        if not hasattr(column, "num_chunks"):
            return column
        pyarrow = require("pyarrow", "parquet")
        return column.chunk(0) if column.num_chunks else pyarrow.array([], column.type)

    def _to_numpy(self, column: Any, name: str) -> NDArray[Any]:
        types = require("pyarrow", "parquet").types
        kind = column.type
        if not (types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind)):
            raise SourceError(f"{self.path}: column '{name}': holds {kind}, expected numbers")
        if column.null_count:
            raise SourceError(f"{self.path}: column '{name}': holds {column.null_count} empty entries")
        return np.asarray(column.to_numpy(zero_copy_only=False))
