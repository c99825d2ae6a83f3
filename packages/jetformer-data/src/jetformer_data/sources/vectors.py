"""Four-vectors in files of people's own, and the top-tagging and quark/gluon references: npz, HDF5, Parquet.

Columns are found by name (see `names`), constituents by layout (see `vector_layouts`). Labels are numbers from 0, or
one-hot `[jets, classes]`; their names are `class_names` or `classes` where the file has them, else `label_0`, ...
"""

from __future__ import annotations

import numpy as np

from jetformer_data.errors import SourceError
from jetformer_data.raw import RawJets
from jetformer_data.sources.arrays import Arrays
from jetformer_data.sources.hdf5 import Hdf5Arrays
from jetformer_data.sources.labels import class_numbers, numbered_classes, one_hot
from jetformer_data.sources.names import CLASS_NAMES, JETS, KNOWN_CLASSES, LABELS, PT_Y_PHI_ID, first_of
from jetformer_data.sources.npz import NpzArrays
from jetformer_data.sources.pandas_table import PandasTable
from jetformer_data.sources.parquet_arrays import ListLayout, ParquetArrays
from jetformer_data.sources.source import Source
from jetformer_data.sources.survey import Survey, survey
from jetformer_data.sources.vector_layouts import Layout, find_layout, holds_vectors


class VectorSource(Source):
    """Files that hold constituents as four-vectors, in any layout of `vector_layouts`, and labels."""

    format = "four-vectors"
    containers = ("npz", "HDF5", "Parquet")

    @classmethod
    def fits(cls, survey: Survey) -> bool:
        return holds_vectors(survey.names) or _is_pandas(survey)

    def _open(self) -> _Opened:
        found = survey(self.path)
        arrays: Arrays
        if found.kind == "npz":
            arrays = NpzArrays(self.path)
        elif found.kind == "Parquet":
            arrays = ParquetArrays(self.path)
        else:
            arrays = PandasTable(self.path) if _is_pandas(found) else Hdf5Arrays(self.path)
        return _Opened(arrays)

    def _describe(self, file: _Opened) -> int:
        arrays = file.arrays
        self.names = file.layout.names
        label = first_of(LABELS, arrays.shapes)
        if label is None:
            raise SourceError(f"{self.path}: column 'labels' is missing (or {', '.join(LABELS[1:])})")
        self._label = label
        self._jet_columns = {
            ours: name for ours, name in JETS.items() if len(arrays.shapes.get(name, ())) == 1
        }
        for name in (label, *self._jet_columns.values()):
            if arrays.shapes[name][0] != file.layout.jets:
                raise SourceError(
                    f"{self.path}: '{name}' has {arrays.shapes[name][0]} entries for {file.layout.jets} jets"
                )
        self.class_names = self._find_classes(arrays)
        return file.layout.jets

    def _read(self, file: _Opened, start: int, stop: int) -> RawJets:
        columns, offsets = file.layout.read(start, stop)
        values = file.arrays.rows(self._label, start, stop)
        if values.ndim == 2:
            labels = one_hot(list(values.T), self.class_names, str(self.path), start)
        else:
            labels = class_numbers(values, self._label, str(self.path), start)
        jets = {ours: file.arrays.rows(name, start, stop) for ours, name in self._jet_columns.items()}
        return RawJets(columns, offsets, labels, self.class_names, jets, self._where(start, stop))

    def _find_classes(self, arrays: Arrays) -> tuple[str, ...]:
        shape = arrays.shapes[self._label]
        for name in CLASS_NAMES:
            names = arrays.texts(name)
            if names:
                if len(set(names)) != len(names):
                    raise SourceError(f"{self.path}: '{name}' holds a name twice")
                return names
        if len(shape) == 2:
            return numbered_classes(shape[1])
        if self._label in KNOWN_CLASSES:
            return KNOWN_CLASSES[self._label]
        if PT_Y_PHI_ID in arrays.shapes:
            return ("g", "q")  # the quark/gluon reference counts quarks as 1
        labels = class_numbers(arrays.whole(self._label), self._label, str(self.path))
        return numbered_classes(int(np.max(labels, initial=0)) + 1)


class _Opened:
    """Arrays, and the layout that was found in them."""

    def __init__(self, arrays: Arrays) -> None:
        self.arrays = arrays
        try:
            if isinstance(arrays, ParquetArrays) and arrays.list_names:
                self.layout: Layout = ListLayout(arrays)
            else:
                self.layout = find_layout(arrays)
        except BaseException:
            arrays.close()
            raise

    def close(self) -> None:
        self.arrays.close()


def _is_pandas(found: Survey) -> bool:
    return found.kind == "HDF5" and any(
        name.count("/") == 1 and name.rsplit("/", 1)[1] in ("table", "block0_values") for name in found.names
    )
