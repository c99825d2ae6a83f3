"""Generate a file of jets by independent, seeded shards, see `shards`.

A shard depends on the seed and its number alone, so the file is the same whatever the number of workers and however often
the command was killed.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from jetformer_data.errors import DataError
from jetformer_data.extras import require_installed
from jetformer_data.features import find_feature_set, to_jets
from jetformer_data.shards import Outcome, Work, complete, folder_of, shard_writer
from jetformer_data.simulation.making import make_jets, make_provenance
from jetformer_data.simulation.processes import STYLES
from jetformer_data.workers import Backend, Processes, Report

# About a quarter of a minute's work: little is lost by a kill, and starting Pythia five times costs less than a tenth.
SHARD_JETS = 2_000


@dataclass(frozen=True)
class Shard:
    """Jets `start:start + jets` of the set."""

    style: str
    features: str
    seed: int
    number: int
    start: int
    jets: int
    path: Path
    substructure: bool = False


def generate(
    out: str | os.PathLike[str],
    jets: int,
    seed: int,
    style: str = "hls4ml",
    features: str | None = None,
    substructure: bool = False,
    backend: Backend | None = None,
    overwrite: bool = False,
    progress: Report = lambda done: None,
    share: tuple[int, int] | None = None,
    shard_jets: int = SHARD_JETS,
) -> Outcome:
    """Write `jets` jets to `out`; `progress(done)` is called now and then with the number of jets so far.

    features        name of a feature set, or "module:NAME" of one of your own; None: that of the style
    substructure    soft-drop mass and N-subjettiness too
    share           (i, n): make one of n parts of the shards and merge nothing, see `shards.complete`
    """
    for module in ("pythia8mc", "fastjet", "awkward"):
        require_installed(module, "generate")
    _require_sense(style, jets, seed, shard_jets)
    out = Path(out)
    features = features or STYLES[style].features
    feature_set = find_feature_set(features)
    parameters = make_provenance(STYLES[style], jets, seed, shard_jets, substructure)
    parameters |= {"features": feature_set.name, "feature_table": feature_set.table()}
    shards = plan(style, jets, seed, shard_jets, folder_of(out).absolute(), features, substructure)
    return complete(
        Work(out, parameters, shards, make_shard), backend or Processes(), overwrite, progress, share
    )


def plan(
    style: str, jets: int, seed: int, shard_jets: int, folder: Path, features: str, substructure: bool = False
) -> list[Shard]:
    """The shards of a set, in order."""
    return [
        Shard(
            *(style, features, seed, number, start, min(shard_jets, jets - start)),
            *(folder / f"shard-{number:06d}.h5", substructure),
        )
        for number, start in enumerate(range(0, jets, shard_jets))
    ]


def make_shard(shard: Shard, report: Report) -> None:
    """Make the jets of one shard and store them."""
    seeds = np.random.SeedSequence(shard.seed, spawn_key=(shard.number,))
    raw = make_jets(STYLES[shard.style], shard.start, shard.jets, seeds, report, shard.substructure)
    with shard_writer(shard.path) as writer:
        writer.append(to_jets(raw, find_feature_set(shard.features))[0])


def _require_sense(style: str, jets: int, seed: int, shard_jets: int) -> None:
    if style not in STYLES:
        raise DataError(f"style '{style}': expected one of {', '.join(STYLES)}")
    for name, value, least in (("jets", jets, 1), ("seed", seed, 0), ("shard_jets", shard_jets, 1)):
        if value < least:
            raise DataError(f"{name}: expected at least {least}, got {value}")
