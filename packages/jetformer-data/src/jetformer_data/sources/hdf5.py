"""Arrays in an HDF5 file: the datasets of its top and of its groups."""

from __future__ import annotations

import os
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from jetformer_data.sources.arrays import Arrays


class Hdf5Arrays(Arrays):
    """Datasets under their names; one in a group is `GROUP/NAME`."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = str(path)
        self._size = os.path.getsize(path)
        self._file = h5py.File(path, "r")
        self._datasets: dict[str, Any] = {}

        def visit(name: str, item: Any) -> None:
            if isinstance(item, h5py.Dataset):
                self._datasets[name] = item

        self._file.visititems(visit)
        self.shapes = {
            name: item.shape
            for name, item in self._datasets.items()
            if item.shape and item.dtype.kind in "fiub"
        }

    def rows(self, name: str, start: int, stop: int) -> NDArray[Any]:
        values = np.asarray(self._datasets[name][start:stop])
        return np.ascontiguousarray(values, values.dtype.newbyteorder("="))

    def texts(self, name: str) -> tuple[str, ...] | None:
        """A dataset of texts, or an attribute of the file."""
        values = self._file.attrs.get(name)
        dataset = self._datasets.get(name)
        if dataset is not None and dataset.dtype.kind in "SO" and len(dataset.shape) == 1:
            values = dataset[:1_000_000]
        if values is None:
            return None
        return tuple(t.decode() if isinstance(t, bytes) else str(t) for t in np.ravel(values).tolist())

    def size(self) -> int:
        return self._size

    def close(self) -> None:
        self._file.close()
