"""A file of jets made from independent shards, by any number of workers, that survives a kill at any moment.

Finished shards lie in `OUT.parts` beside the target, each written under a name of its own and renamed; at the end they
are merged in order into OUT, which appears complete, and the folder is removed. A shard depends on its description
alone, so the file is the same whatever makes the shards, in whatever order and however often it was interrupted.
"""

from __future__ import annotations

import json
import os
import shutil
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from jetformer_data.errors import DataError, SchemaError
from jetformer_data.schema import Reader, Writer
from jetformer_data.splitting import split_mask
from jetformer_data.statistics import Welford
from jetformer_data.workers import Backend, Lock, Report

_MERGED_JETS = 10_000
_PARAMETERS = "parameters.json"


class Shard(Protocol):
    """A part of the work that can be sent to another process."""

    @property
    def path(self) -> Path:
        """Where its jets are stored."""

    @property
    def jets(self) -> int:
        """How many jets it goes through, for the progress."""


@dataclass(frozen=True)
class Work:
    """A file to make.

    parameters  all that the jets depend on, as JSON holds it: an earlier run's shards are used where it is the same
    make        makes one shard: `make(shard, report)`; it must be importable by its name
    results     what is added to the provenance, from the provenances of all shards
    """

    out: Path
    parameters: dict[str, Any]
    shards: Sequence[Any]
    make: Callable[[Any, Report], None]
    results: Callable[[list[dict[str, Any]]], dict[str, Any]] = lambda provenances: {}


@dataclass(frozen=True)
class Outcome:
    """What was done. `reused` jets were found in shards of an earlier run, or in the finished file.

    `is_merged` is False where a share of the shards was made and the file is still to come.
    """

    path: Path
    jets: int
    reused: int
    seconds: float
    cpu_seconds: float
    provenance: dict[str, Any] = field(default_factory=dict)
    is_merged: bool = True


def folder_of(out: Path) -> Path:
    """Where the shards of a file lie until it is complete."""
    return out.with_name(out.name + ".parts")


def shard_writer(path: Path) -> Writer:
    """A writer under a name of its own: two processes that make the same shard by accident don't get mixed up."""
    return Writer(path, path.with_name(f".{path.name}.{uuid.uuid4().hex}.partial"))


def complete(
    work: Work,
    backend: Backend,
    overwrite: bool = False,
    progress: Report = lambda done: None,
    share: tuple[int, int] | None = None,
) -> Outcome:
    """Make the shards that are missing and merge all of them; `progress(done)` gets the number of jets so far.

    `share` (i, n), from (1, n) to (n, n), makes one of n parts of the shards and merges nothing: n jobs of a batch system
    make all of them, and a last run without a share finds them and merges.
    """
    out, folder, begin = work.out, folder_of(work.out), time.monotonic()
    total = sum(shard.jets for shard in work.shards)
    if out.exists() and not overwrite:
        with Reader(out) as reader:
            _require_same(reader.provenance, work.parameters, out, "--overwrite")
            found = Outcome(out, len(reader), len(reader), 0.0, 0.0, reader.provenance)
        shutil.rmtree(folder, ignore_errors=True)
        return found
    _claim(folder, work.parameters)
    with Lock(folder, is_share=share is not None):
        wanted = work.shards if share is None else _share(work.shards, *share)
        missing = [shard for shard in wanted if not _is_finished(shard.path)]
        reused = sum(shard.jets for shard in wanted) - sum(shard.jets for shard in missing)
        cpu_seconds = backend.run(work.make, missing, folder, lambda done: progress(reused + done))
        if share is not None:
            jets = sum(shard.jets for shard in wanted)
            return Outcome(out, jets, reused, time.monotonic() - begin, cpu_seconds, is_merged=False)
        progress(total)
        jets, provenance = merge(work, folder / "merged.partial")
        shutil.rmtree(folder)
    return Outcome(out, jets, reused, time.monotonic() - begin, cpu_seconds, provenance)


def merge(work: Work, partial: Path) -> tuple[int, dict[str, Any]]:
    """Append the shards to one file; returns its number of jets and its provenance.

    Its normalisation is that of the shards where they have one (published constants), else that of the constituents of
    its training split.
    """
    welford: Welford | None = None
    provenances = []
    with Writer(work.out, partial) as writer:
        for shard in work.shards:
            with Reader(shard.path) as reader:
                provenances.append(reader.provenance)
                for jets in reader.chunks(_MERGED_JETS):
                    start = writer.jets
                    writer.append(jets)
                    if jets.normalisation is None:
                        training = jets.select(
                            split_mask(writer.jets, "train", start=start, groups=jets.groups)
                        )
                        welford = (welford or Welford(len(jets.feature_names))).update(training.constituents)
        if not writer.jets:
            raise DataError(f"{work.out}: no jets are left to write")
        if welford is not None and welford.count:
            writer.normalisation = welford.normalisation()
        writer.provenance = {**work.parameters, **work.results(provenances)}
    return writer.jets, writer.provenance


def _share(shards: Sequence[Any], number: int, shares: int) -> list[Any]:
    if not 1 <= number <= shares:
        raise DataError(f"share {number}/{shares}: expected a number from 1 to {max(1, shares)} of that many")
    return list(shards[number - 1 :: shares])


def _claim(folder: Path, parameters: dict[str, Any]) -> None:
    """Start the folder of shards, or make sure that it holds shards of this very set."""
    recorded = folder / _PARAMETERS
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if recorded.exists():
            _require_same(json.loads(recorded.read_text()), parameters, folder, "remove that folder")
            return
        for stray in folder.glob("shard-*"):  # of a folder that was being removed: nobody knows of which set
            stray.unlink(missing_ok=True)
        draft = folder / f"{_PARAMETERS}.{uuid.uuid4().hex}.partial"
        draft.write_text(json.dumps(parameters, indent=1, sort_keys=True))
        os.replace(draft, recorded)
    except (OSError, json.JSONDecodeError) as error:
        raise DataError(f"{folder}: cannot be used for finished shards ({error})") from error


def _require_same(there: dict[str, Any], here: dict[str, Any], where: Path, way_out: str) -> None:
    different = [name for name in here if there.get(name) != here[name]]
    if different:
        name = different[0]
        is_short = not isinstance(here[name], dict | list)
        values = f" ({there.get(name)} there, {here[name]} asked for)" if is_short else ""
        way_out = f"pass {way_out}" if way_out.startswith("--") else way_out
        raise DataError(
            f"{where}: was made with another '{name}'{values}; to start again, {way_out} or choose another output"
        )


def _is_finished(path: Path) -> bool:
    # Shards appear complete, so one that can be opened is complete.
    try:
        with Reader(path):
            return True
    except SchemaError:
        return False
