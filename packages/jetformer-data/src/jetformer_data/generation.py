"""Generate a file of jets by independent, seeded shards that worker processes make and that survive a kill.

Finished shards lie in `OUT.parts` beside the target, each written atomically; at the end they are merged in order
into OUT, which appears complete, and the folder is removed. A shard depends on the seed and its number alone,
so the file is the same whatever the number of workers and however often the command was killed.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from jetformer_data.errors import DataError, SchemaError
from jetformer_data.extras import require_installed
from jetformer_data.features import find_feature_set, to_jets
from jetformer_data.making import make_jets, make_provenance
from jetformer_data.processes import STYLES, Style
from jetformer_data.schema import Reader, Writer, write
from jetformer_data.splitting import split_mask
from jetformer_data.statistics import Welford
from jetformer_data.workers import Lock, run_workers

# About a quarter of a minute's work: little is lost by a kill, and starting Pythia five times costs less than a tenth.
SHARD_JETS = 2_000
_MERGED_JETS = 10_000


@dataclass(frozen=True)
class Shard:
    """Jets `start:start + jets` of the set."""

    style: str
    seed: int
    number: int
    start: int
    jets: int
    path: Path
    substructure: bool = False


@dataclass(frozen=True)
class Outcome:
    """What `generate` did. `reused` jets were found in shards of an earlier run, or in the finished file."""

    path: Path
    jets: int
    reused: int
    seconds: float
    cpu_seconds: float


def generate(
    out: str | os.PathLike[str],
    jets: int,
    seed: int,
    style: str = "hls4ml",
    workers: int = 1,
    overwrite: bool = False,
    shard_jets: int = SHARD_JETS,
    progress: Callable[[int], None] = lambda done: None,
    substructure: bool = False,
) -> Outcome:
    """Write `jets` jets to `out`; `progress(done)` is called now and then with the number of jets so far.

    With `substructure` they have soft-drop mass and N-subjettiness too.
    """
    for module in ("pythia8mc", "fastjet", "awkward"):
        require_installed(module, "generate")
    _require_sense(style, jets, seed, workers, shard_jets)
    out, begin = Path(out), time.monotonic()
    provenance = make_provenance(STYLES[style], jets, seed, shard_jets, substructure)
    folder = out.with_name(out.name + ".parts")
    if out.exists() and not overwrite:
        with Reader(out) as reader:
            _require_same(reader.provenance, provenance, out, "--overwrite")
        shutil.rmtree(folder, ignore_errors=True)
        return Outcome(out, jets, jets, 0.0, 0.0)
    _claim(folder, provenance)
    with Lock(folder):
        shards = plan(style, jets, seed, shard_jets, folder, substructure)
        missing = [shard for shard in shards if not _is_finished(shard)]
        reused = jets - sum(shard.jets for shard in missing)
        cpu_seconds = run_workers(make_shard, missing, workers, folder, lambda done: progress(reused + done))
        merge(shards, out, folder / "merged.partial", provenance)
        shutil.rmtree(folder)
    return Outcome(out, jets, reused, time.monotonic() - begin, cpu_seconds)


def plan(
    style: str, jets: int, seed: int, shard_jets: int, folder: Path, substructure: bool = False
) -> list[Shard]:
    """The shards of a set, in order."""

    def path(number: int) -> Path:
        return folder / f"shard-{number:06d}.h5"

    return [
        Shard(style, seed, number, start, min(shard_jets, jets - start), path(number), substructure)
        for number, start in enumerate(range(0, jets, shard_jets))
    ]


def make_shard(shard: Shard, report: Callable[[int], None]) -> None:
    """Make the jets of one shard and store them."""
    seeds = np.random.SeedSequence(shard.seed, spawn_key=(shard.number,))
    style = STYLES[shard.style]
    raw = make_jets(style, shard.start, shard.jets, seeds, report, shard.substructure)
    write(shard.path, to_jets(raw, find_feature_set(style.features))[0])


def merge(shards: list[Shard], out: Path, partial: Path, provenance: dict[str, Any]) -> None:
    """Append the shards to one file, with normalisation constants over the constituents of its training split."""
    welford: Welford | None = None
    with Writer(out, partial) as writer:
        for shard in shards:
            with Reader(shard.path) as reader:
                for jets in reader.chunks(_MERGED_JETS):
                    start = writer.jets
                    writer.append(jets)
                    if jets.normalisation is None:  # else the set's published constants are kept
                        training = jets.select(
                            split_mask(writer.jets, "train", start=start, groups=jets.groups)
                        )
                        welford = (welford or Welford(len(jets.feature_names))).update(training.constituents)
        if welford is not None and welford.count:
            writer.normalisation = welford.normalisation()
        writer.provenance = provenance


def _require_sense(style: str, jets: int, seed: int, workers: int, shard_jets: int) -> Style:
    if style not in STYLES:
        raise DataError(f"style '{style}': expected one of {', '.join(STYLES)}")
    for name, value, least in (
        ("jets", jets, 1),
        ("seed", seed, 0),
        ("workers", workers, 1),
        ("shard_jets", shard_jets, 1),
    ):
        if value < least:
            raise DataError(f"{name}: expected at least {least}, got {value}")
    return STYLES[style]


def _claim(folder: Path, provenance: dict[str, Any]) -> None:
    """Start the folder of shards, or make sure that it holds shards of this very set."""
    recorded = folder / "parameters.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if recorded.exists():
            _require_same(json.loads(recorded.read_text()), provenance, folder, "remove that folder")
            return
        draft = folder / "parameters.json.partial"
        draft.write_text(json.dumps(provenance, indent=1, sort_keys=True))
        os.replace(draft, recorded)
    except (OSError, json.JSONDecodeError) as error:
        raise DataError(f"{folder}: cannot be used for finished shards ({error})") from error


def _require_same(there: dict[str, Any], here: dict[str, Any], where: Path, way_out: str) -> None:
    different = [name for name in here if there.get(name) != here[name]]
    if different:
        name = different[0]
        values = (
            f" ({there.get(name)} there, {here[name]} asked for)" if not isinstance(here[name], dict) else ""
        )
        way_out = f"pass {way_out}" if way_out.startswith("--") else way_out
        raise DataError(
            f"{where}: was made with another '{name}'{values}; to start again, {way_out} or choose another output"
        )


def _is_finished(shard: Shard) -> bool:
    try:
        with Reader(shard.path) as reader:
            return len(reader) == shard.jets
    except SchemaError:
        return False
