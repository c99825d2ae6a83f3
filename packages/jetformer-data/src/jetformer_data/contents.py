"""What a file of jets says of itself, and its jets in pieces: the common ground of `inspect`, `plot` and `validate`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np

from jetformer_data.jets import Normalisation
from jetformer_data.raw import CONSTITUENT_UNITS, JET_UNITS, RawJets, concatenate
from jetformer_data.schema import Reader

# A piece of 5,000 jets with 16 features and 150 constituents takes 50 MB.
CHUNK_JETS = 5_000
_SAMPLES = 10


@dataclass(frozen=True, eq=False)
class Contents:
    """An open file. `units` of its columns where they are known; `reader` where it follows the array schema."""

    source: Any
    units: Mapping[str, str]
    reader: Reader | None = None

    def __len__(self) -> int:
        return len(self.source)

    @property
    def class_names(self) -> tuple[str, ...]:
        return self.source.class_names

    @property
    def is_schema(self) -> bool:
        return self.reader is not None

    @property
    def version(self) -> str | None:
        """Of the array schema; None in other formats."""
        return None if self.reader is None else self.reader.version

    @property
    def normalisation(self) -> Normalisation | None:
        return None if self.reader is None else self.reader.normalisation

    @property
    def provenance(self) -> Mapping[str, Any]:
        return {} if self.reader is None else self.reader.provenance

    def chunks(self, jets: int = CHUNK_JETS, stop: int | None = None) -> Iterator[RawJets]:
        """Consecutive pieces of at most `jets` jets, up to jet `stop`."""
        last = len(self) if stop is None else min(stop, len(self))
        for start in range(0, last, jets):
            yield self.source.read(start, min(start + jets, last))

    def read_unchecked(self, start: int, stop: int) -> RawJets:
        """Jets `start:stop` of a file of the array schema with any values in them; of other formats, as they are read."""
        if self.reader is None:
            return self.source.read(start, stop)
        jets = self.reader.read(start, stop, values=False)
        return RawJets(
            dict(zip(jets.feature_names, jets.constituents.T, strict=True)),
            jets.offsets,
            jets.labels,
            jets.class_names,
            {}
            if jets.jet_features is None
            else dict(zip(jets.jet_feature_names, jets.jet_features.T, strict=True)),
            f"{self.source.path}, jets {start}:{stop}",
        )

    def sample(self, jets: int) -> RawJets:
        """About `jets` jets from places all over the file, since many files are sorted by class."""
        if len(self) <= jets:
            return self.source.read(0, len(self))
        piece = max(1, jets // _SAMPLES)
        starts = np.linspace(0, len(self) - piece, _SAMPLES).astype(int)
        return concatenate([self.source.read(int(start), int(start) + piece) for start in starts])


@contextmanager
def open_contents(path: str | os.PathLike[str]) -> Iterator[Contents]:
    """Any file of jets that can be read, by what is in it; raises `DataError` where nothing can read it."""
    with open_source(path) as source:
        units = {**CONSTITUENT_UNITS, **JET_UNITS}
        if source.format != "schema":
            yield Contents(source, units)
            return
        with Reader(path) as reader:
            units |= dict(zip(reader.feature_names, reader.feature_units, strict=True))
            units |= dict(zip(reader.jet_feature_names, reader.jet_feature_units, strict=True))
            yield Contents(source, units, reader)


class _SchemaSource:
    """Reads files of the array schema, until `jetformer_data.sources` does."""

    format = "schema"

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.reader = Reader(path)
        self.path, self.class_names = self.reader.path, self.reader.class_names

    def __enter__(self) -> _SchemaSource:
        return self

    def __exit__(self, *_: object) -> None:
        self.reader.__exit__()

    def __len__(self) -> int:
        return len(self.reader)

    def read(self, start: int, stop: int) -> RawJets:
        jets = self.reader.read(start, stop)
        return RawJets(
            {name: jets.column(name) for name in jets.feature_names},
            jets.offsets,
            jets.labels,
            jets.class_names,
            {name: jets.jet_column(name) for name in jets.jet_feature_names},
            f"{self.path}, jets {start}:{stop}",
        )


def open_source(path: str | os.PathLike[str]) -> Any:
    try:
        return import_module("jetformer_data.sources").open_source(path)
    except (ImportError, AttributeError):
        return _SchemaSource(path)
