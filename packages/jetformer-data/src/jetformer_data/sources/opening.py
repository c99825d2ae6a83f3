"""Which reader reads a file, found out from what is in it."""

from __future__ import annotations

import os
from pathlib import Path

from jetformer_data.errors import SourceError
from jetformer_data.sources.hls4ml import Hls4mlSource
from jetformer_data.sources.jetclass import JetClassSource
from jetformer_data.sources.jetclass2 import JetClass2Source
from jetformer_data.sources.schema_file import SchemaSource
from jetformer_data.sources.source import Source, reading
from jetformer_data.sources.survey import Survey, survey
from jetformer_data.sources.vectors import VectorSource

# The first that fits reads the file; a new reader is a line here.
READERS: tuple[type[Source], ...] = (
    SchemaSource,
    Hls4mlSource,
    JetClassSource,
    JetClass2Source,
    VectorSource,
)
READABLE = (
    "array schema (HDF5), HLS4ML 150P (HDF5), JetClass (ROOT), JetClass-II (Parquet), four-vectors with labels (npz, "
    "HDF5, Parquet)"
)


def open_source(path: str | os.PathLike[str]) -> Source:
    """The reader of a file, whatever its name; raises `SourceError` where no reader fits.

    Extras: `root` for ROOT files, `parquet` for Parquet files.
    """
    path = Path(path)
    if path.is_dir():
        raise SourceError(f"{path}: is a folder; name a file in it")
    with reading(path):
        found = survey(path)
    for reader in READERS:
        if found.kind in reader.containers and reader.fits(found):
            return reader(path)
    raise SourceError(f"{path}: {_what(found)}; readable are: {READABLE}")


def _what(found: Survey) -> str:
    if found.kind == "ROOT" and "Delphes" in found.names:
        return (
            "holds events of a Delphes simulation, not jets with their constituents: cluster them first, for instance with "
            "the n-tupliser of JetClass"
        )
    shown = ", ".join(sorted(found.names)[:12]) or "nothing"
    return f"is a file ({found.kind}) in which no jets are found (it holds {shown})"
