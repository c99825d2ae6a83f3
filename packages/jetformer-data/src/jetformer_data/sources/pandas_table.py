"""Tables that pandas stored in HDF5, read without pandas: both its formats, `table` and `fixed`.

In the first, the names of the columns are a pickled list in an attribute. It is not unpickled, which could run anything:
its texts are picked out of it.
"""

from __future__ import annotations

import os
import pickletools
from collections.abc import Sequence
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from jetformer_data.errors import SourceError
from jetformer_data.sources.arrays import Arrays

_TEXTS = {
    "STRING",
    "UNICODE",
    "BINSTRING",
    "SHORT_BINSTRING",
    "BINUNICODE",
    "SHORT_BINUNICODE",
    "BINUNICODE8",
}


class PandasTable(Arrays):
    """Every numeric column of the first table in the file, `[rows]` each."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = str(path)
        self._size = os.path.getsize(path)
        self._file = h5py.File(path, "r")
        # Column -> block, and its place in it.
        self._places: dict[str, tuple[str, int]] = {}
        self._group = self._find_group()
        rows = self._table_columns() if self._is_table() else self._fixed_columns()
        self.shapes = dict.fromkeys(self._places, (rows,))

    def rows(self, name: str, start: int, stop: int) -> NDArray[Any]:
        return self.table([name], start, stop)[:, 0]

    def table(self, names: Sequence[str], start: int, stop: int) -> NDArray[Any]:
        blocks = {self._places[name][0] for name in names}
        values = {block: self._block(block, start, stop) for block in blocks}
        if len(blocks) == 1:
            return values.popitem()[1][:, [self._places[name][1] for name in names]]
        return np.stack([values[block][:, k] for block, k in (self._places[name] for name in names)], axis=1)

    def texts(self, name: str) -> tuple[str, ...] | None:
        return None

    def size(self) -> int:
        return self._size

    def close(self) -> None:
        self._file.close()

    def _find_group(self) -> Any:
        for name in self._file:
            group = self._file.get(name)
            if isinstance(group, h5py.Group) and ("table" in group or "block0_values" in group):
                return group
        raise SourceError(f"{self.path}: holds no table of pandas")

    def _is_table(self) -> bool:
        return isinstance(self._group.get("table"), h5py.Dataset)

    def _table_columns(self) -> int:
        table = self._group["table"]
        for block in table.dtype.names or ():
            kind, shape = table.dtype[block].base.kind, table.dtype[block].shape
            if not block.startswith("values_block_") or kind not in "fiub":
                continue
            names = _picked_out(table.attrs.get(f"{block}_kind", b""), self.path)
            if len(names) != (shape[0] if shape else 1):
                raise SourceError(f"{self.path}: '{block}' has {shape} columns, but {len(names)} names")
            self._places |= {name: (block, k) for k, name in enumerate(names)}
        return int(table.shape[0])

    def _fixed_columns(self) -> int:
        rows = 0
        for name in self._group:
            if not (name.startswith("block") and name.endswith("_values")):
                continue
            values, items = self._group[name], self._group[name.replace("_values", "_items")]
            if values.dtype.kind not in "fiub" or items.dtype.kind != "S":
                continue
            if values.ndim != 2 or items.shape != values.shape[1:]:
                raise SourceError(
                    f"{self.path}: '{name}' is {list(values.shape)}, but has {items.shape} names"
                )
            self._places |= {item.decode(): (name, k) for k, item in enumerate(items[()])}
            rows = int(values.shape[0])
        return rows

    def _block(self, block: str, start: int, stop: int) -> NDArray[Any]:
        stored = self._group["table"].fields(block) if self._is_table() else self._group[block]
        values = stored[start:stop]
        if values.ndim == 1:  # a block of one column
            values = values[:, None]
        return np.ascontiguousarray(values, values.dtype.newbyteorder("="))


def _picked_out(pickled: Any, path: str) -> list[str]:
    content = bytes(pickled) if isinstance(pickled, (bytes, np.bytes_)) else str(pickled).encode("latin-1")
    try:
        operations = list(pickletools.genops(content))
    except Exception as error:
        raise SourceError(f"{path}: the names of columns are damaged ({error})") from error
    return [str(argument) for operation, argument, _ in operations if operation.name in _TEXTS]
