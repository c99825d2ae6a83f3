"""What a file of jets says of itself, and its jets in pieces: the common ground of `inspect`, `plot` and `validate`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from jetformer_data.jets import Normalisation
from jetformer_data.raw import CONSTITUENT_UNITS, JET_UNITS, RawJets, concatenate
from jetformer_data.schema import Reader
from jetformer_data.sources import Source, open_source

# A piece of 5,000 jets with 16 features and 150 constituents takes 50 MB.
CHUNK_JETS = 5_000
_SAMPLES = 10


@dataclass(frozen=True, eq=False)
class Contents:
    """An open file. `units` of its columns where they are known; `reader` where it follows the array schema."""

    source: Source
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
