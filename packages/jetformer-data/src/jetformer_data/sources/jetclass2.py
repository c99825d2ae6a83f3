"""JetClass-II (arXiv:2405.12972): Parquet files with one row a jet, `part_*` lists as in JetClass, and a class number."""

from __future__ import annotations

import numpy as np

from jetformer_data.errors import SourceError
from jetformer_data.raw import RawJets
from jetformer_data.sources.jetclass import JET_COLUMNS, OPTIONAL, REQUIRED, unsign_deta
from jetformer_data.sources.jetclass2_classes import CLASSES
from jetformer_data.sources.labels import class_numbers
from jetformer_data.sources.parquet import ParquetColumns
from jetformer_data.sources.ragged import same_offsets
from jetformer_data.sources.source import Source
from jetformer_data.sources.survey import Survey

LABEL = "jet_label"


class JetClass2Source(Source):
    """Parquet files of JetClass-II; all of `REQUIRED` and `jet_label` must be there."""

    format = "jetclass2"
    containers = ("Parquet",)
    class_names = CLASSES

    @classmethod
    def fits(cls, survey: Survey) -> bool:
        return any(name in survey.names for name in REQUIRED.values())

    def _open(self) -> ParquetColumns:
        return ParquetColumns(self.path)

    def _describe(self, file: ParquetColumns) -> int:
        for name in (*REQUIRED.values(), LABEL):
            if name not in file.names:
                raise SourceError(f"{self.path}: column '{name}' is missing")
        self.names = REQUIRED | {ours: name for ours, name in OPTIONAL.items() if name in file.names}
        self._jet_columns = [name for name in JET_COLUMNS if name in file.names]
        return file.rows

    def _read(self, file: ParquetColumns, start: int, stop: int) -> RawJets:
        table = file.table([*self.names.values(), *self._jet_columns, LABEL], start, stop)
        lists = {ours: file.lists(table, name, start) for ours, name in self.names.items()}
        offsets = same_offsets(lists, str(self.path), start, self.names)
        labels = class_numbers(file.numbers(table, LABEL), LABEL, str(self.path), start)
        outside = np.flatnonzero(labels >= len(CLASSES))
        if len(outside):
            jet = int(outside[0])
            raise SourceError(
                f"{self.path}: jet {start + jet}, column '{LABEL}': {labels[jet]} is outside the {len(CLASSES)} classes"
            )
        constituents = {name: values for name, (_, values) in lists.items()}
        jets = {name: file.numbers(table, name) for name in self._jet_columns}
        unsign_deta(constituents, jets, offsets)
        return RawJets(constituents, offsets, labels, CLASSES, jets, self._where(start, stop))
