"""Our own files: the stored features under their names."""

from __future__ import annotations

from typing import Any

from jetformer_data import schema
from jetformer_data.raw import RawJets
from jetformer_data.sources.source import Source
from jetformer_data.sources.survey import Survey


class _File(schema.Reader):
    def close(self) -> None:
        self.__exit__()


class SchemaSource(Source):
    """Files of the array schema. `groups` become the jets' column `event`."""

    format = "schema"
    containers = ("HDF5",)

    @classmethod
    def fits(cls, survey: Survey) -> bool:
        return survey.attributes.get("schema") == schema.NAME

    def _open(self) -> Any:
        return _File(self.path)

    def _describe(self, file: Any) -> int:
        self.class_names = file.class_names
        return len(file)

    def _read(self, file: Any, start: int, stop: int) -> RawJets:
        jets = file.read(start, stop)
        of_jets = {name: jets.jet_column(name) for name in jets.jet_feature_names}
        if jets.groups is not None:
            of_jets["event"] = jets.groups
        return RawJets(
            {name: jets.column(name) for name in jets.feature_names},
            jets.offsets,
            jets.labels,
            jets.class_names,
            of_jets,
            self._where(start, stop),
        )
