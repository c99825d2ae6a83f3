"""Convert files of any layout that can be read into one file of the array schema, by shards that survive a kill.

A shard is a range of jets of one source. The result holds the jets in the order of the sources, with one feature set, and
says in its provenance what was read, what was computed, and how many jets and constituents were left out for what reason.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from jetformer_data.errors import DataError
from jetformer_data.features import (
    JET_FEATURES,
    OPTIONAL_JET_FEATURES,
    FeatureSet,
    find_feature_set,
    to_jets,
)
from jetformer_data.filesets import Paths
from jetformer_data.raw import RawJets
from jetformer_data.shards import Outcome, Work, complete, folder_of, shard_writer
from jetformer_data.sources import expand, open_source
from jetformer_data.workers import Backend, Processes, Report

SHARD_JETS = 50_000
_CHUNK_JETS = 10_000
OTHER_CLASSES = "jets of other classes"

# Larger files are known by their size and by this many pieces of a MiB, spread evenly: reading all of a terabyte twice
# would double the work.
_HASHED_WHOLE = 1 << 30
_PIECES, _PIECE = 64, 1 << 20


@dataclass(frozen=True)
class Piece:
    """Jets `start:start + jets` of one source, and what becomes of them; stored at `path`."""

    source: Path
    start: int
    jets: int
    features: str
    jet_features: tuple[str, ...]
    classes: tuple[str, ...]
    max_constituents: int | None
    min_pt: float
    path: Path


def convert(
    sources: Paths,
    out: str | os.PathLike[str],
    features: str,
    max_constituents: int | None = None,
    min_pt: float = 0.0,
    classes: Sequence[str] | None = None,
    backend: Backend | None = None,
    overwrite: bool = False,
    progress: Report = lambda done: None,
    share: tuple[int, int] | None = None,
    shard_jets: int = SHARD_JETS,
) -> Outcome:
    """Write the jets of `sources` (files, folders, globs, tar archives) to `out`.

    features            name of a feature set, or "module:NAME" of one of your own
    max_constituents    the first so many of each jet, by falling pt; None: all
    min_pt              GeV; constituents below are dropped first
    classes             classes to keep, in the order of their labels; None: all of the sources
    share               (i, n): make one of n parts of the shards and merge nothing, see `shards.complete`

    Raises `DataError` naming file and jet where a source is damaged; finished shards are kept.
    """
    out, feature_set = Path(out), find_feature_set(features)
    _require_sense(max_constituents, min_pt, shard_jets)
    folder = folder_of(out)
    files = expand(sources, folder / "unpacked")
    try:
        found = _survey(files, feature_set, tuple(classes) if classes else None)
        parameters = {
            "program": "jetformer-data convert",
            "version": version("jetformer-data"),
            "sources": found.sources,
            "features": feature_set.name,
            "feature_table": feature_set.table(),
            "feature_source": feature_set.source,
            "max_constituents": max_constituents,
            "min_pt_gev": min_pt,
            "classes": list(found.classes),
            "shard_jets": shard_jets,
        }
        ranges = [
            (path, start, min(shard_jets, jets - start))
            for path, jets in zip(files, found.jets, strict=True)
            for start in range(0, jets, shard_jets)
        ]
        pieces = [
            Piece(
                *(path.absolute(), start, jets, features, found.jet_features, found.classes),
                *(max_constituents, min_pt, folder.absolute() / f"shard-{number:06d}.h5"),
            )
            for number, (path, start, jets) in enumerate(ranges)
        ]
    except DataError:
        _remove_if_unclaimed(folder)
        raise
    work = Work(out, parameters, pieces, convert_piece, _add_up)
    return complete(work, backend or Processes(), overwrite, progress, share)


def convert_piece(piece: Piece, report: Report) -> None:
    """Convert one piece and store it; memory is that of a few thousand jets."""
    feature_set = find_feature_set(piece.features)
    dropped: Counter[str] = Counter()
    stop = piece.start + piece.jets
    with open_source(piece.source) as source, shard_writer(piece.path) as writer:
        for start in range(piece.start, stop, _CHUNK_JETS):
            raw = source.read(start, min(start + _CHUNK_JETS, stop))
            dropped.update(raw.dropped)
            raw, others = _of_classes(raw, piece.classes)
            jets, constituents = to_jets(
                raw, feature_set, piece.max_constituents, piece.min_pt, piece.jet_features
            )
            dropped.update({OTHER_CLASSES: others, **constituents})
            writer.append(jets)
            report(min(start + _CHUNK_JETS, stop) - piece.start)
        writer.provenance = {"dropped": dict(dropped)}


def fingerprint(path: Path) -> dict[str, Any]:
    """Size and SHA-256 of a file; of one beyond a GiB, SHA-256 of 64 pieces of a MiB spread over it."""
    size = path.stat().st_size
    with path.open("rb") as file:
        if size <= _HASHED_WHOLE:
            return {"bytes": size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}
        digest = hashlib.sha256()
        for place in np.linspace(0, size - _PIECE, _PIECES).astype(np.int64).tolist():
            file.seek(place)
            digest.update(file.read(_PIECE))
        return {"bytes": size, "sha256_of_pieces": digest.hexdigest()}


@dataclass(frozen=True)
class _Found:
    """What the sources hold: entries for the provenance, jets a file, classes and features of jets of the result."""

    sources: list[dict[str, Any]]
    jets: list[int]
    classes: tuple[str, ...]
    jet_features: tuple[str, ...]


def _survey(files: list[Path], feature_set: FeatureSet, classes: tuple[str, ...] | None) -> _Found:
    sources, counts = [], []
    known: tuple[str, ...] = ()
    optional = set(OPTIONAL_JET_FEATURES)
    for path in files:
        with open_source(path) as source:
            known = known or source.class_names
            if source.class_names != known:
                raise DataError(
                    f"{path}: its classes are {', '.join(source.class_names)}; those of {files[0]} are {', '.join(known)}"
                )
            counts.append(len(source))
            sources.append(
                {"file": path.name, "format": source.format, "jets": len(source), **fingerprint(path)}
            )
            first = source.read(0, 1)
            to_jets(first, feature_set)  # what cannot be computed is told before the work, not after it
            optional &= {name for name in optional if first.has(name)}
    if unknown := [name for name in classes or () if name not in known]:
        raise DataError(f"class '{unknown[0]}': not among the classes of {files[0]} ({', '.join(known)})")
    jet_features = (*JET_FEATURES, *(name for name in OPTIONAL_JET_FEATURES if name in optional))
    return _Found(sources, counts, classes or known, jet_features)


def _of_classes(raw: RawJets, classes: tuple[str, ...]) -> tuple[RawJets, int]:
    """The jets of these classes, with labels that count in them, and the number of the others."""
    if classes == raw.class_names:
        return raw, 0
    numbers = np.array([classes.index(name) if name in classes else -1 for name in raw.class_names])
    labels = numbers[raw.labels]
    kept = replace(raw, labels=labels).select(labels >= 0)
    return replace(kept, class_names=classes), int((labels < 0).sum())


def _add_up(provenances: list[dict[str, Any]]) -> dict[str, Any]:
    dropped: Counter[str] = Counter()
    for provenance in provenances:
        dropped.update(provenance["dropped"])
    return {"dropped": dict(sorted(dropped.items()))}


def _require_sense(max_constituents: int | None, min_pt: float, shard_jets: int) -> None:
    if max_constituents is not None and max_constituents < 1:
        raise DataError(f"max_constituents: expected at least 1, got {max_constituents}")
    if not 0 <= min_pt < np.inf:
        raise DataError(f"min_pt: expected 0 GeV or more, got {min_pt}")
    if shard_jets < 1:
        raise DataError(f"shard_jets: expected at least 1, got {shard_jets}")


def _remove_if_unclaimed(folder: Path) -> None:
    """A folder that only holds what was unpacked for a conversion that cannot be."""
    if not (folder / "parameters.json").exists():
        shutil.rmtree(folder, ignore_errors=True)
