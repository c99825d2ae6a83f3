"""From one seed to the jets of one shard: collide, detect, cluster, select."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jetformer_data.errors import DataError
from jetformer_data.jets import wrap_phi
from jetformer_data.particles import Particles, near_partons
from jetformer_data.raw import RawJets, concatenate
from jetformer_data.simulation.candidates import Array, Candidates
from jetformer_data.simulation.clustering import cluster
from jetformer_data.simulation.collisions import Collisions
from jetformer_data.simulation.processes import Style, pythia_settings
from jetformer_data.simulation.substructure import with_substructure

_MOST_EVENTS = 100
_FEWEST_EVENTS = 10
# Batches without a single new jet before a run is given up: far more than chance allows.
_PATIENCE = 50


def make_jets(
    style: Style,
    start: int,
    jets: int,
    seeds: np.random.SeedSequence,
    report: Callable[[int], None],
    substructure: bool = False,
) -> RawJets:
    """The jets at positions `start:start + jets` of a balanced set, in random order; `report(done)` as they appear.

    The jets of one collision share their number in the column `event`, which no other collision of the set has.
    With `substructure` they have soft-drop mass and N-subjettiness too, which takes 1.6 ms a jet.
    """
    wanted = np.bincount(
        np.arange(start, start + jets) % len(style.class_names), minlength=len(style.class_names)
    )
    *class_seeds, order = seeds.spawn(len(wanted) + 1)
    parts: list[RawJets] = []

    def report_part(done: int) -> None:
        report(sum(len(part) for part in parts) + done)

    for label, (count, seed) in enumerate(zip(wanted, class_seeds, strict=True)):
        if count:
            parts.append(_jets_of_class(style, label, int(count), seed, report_part))
    made = concatenate(parts).select(np.random.default_rng(order).permutation(jets))
    collision = np.stack([made.labels, made.jets["event"].astype(np.int64)])
    numbers = np.unique(collision, axis=1, return_inverse=True)[1].reshape(-1)
    made = replace(made, jets={**made.jets, "event": start + numbers})
    return with_substructure(made, style.radius) if substructure else made


def make_provenance(
    style: Style, jets: int, seed: int, shard_jets: int, substructure: bool = False
) -> dict[str, Any]:
    """All that the jets depend on: nothing about the machine, the time or the number of workers."""
    return {
        "program": "jetformer-data generate",
        "version": version("jetformer-data"),
        "pythia8mc": version("pythia8mc"),
        "fastjet": version("fastjet"),
        "jets": jets,
        "seed": seed,
        "shard_jets": shard_jets,
        "substructure": substructure,
        "style": _plain({**vars(style), "processes": None, "detector": None}),
        "matched": {name: [list(p.parents), p.prongs] for name, p in style.processes.items()},
        "detector": {"name": type(style.detector).__name__, **_plain(asdict(style.detector))},
        "pythia": {name: pythia_settings(style, name) for name in style.class_names},
    }


def _jets_of_class(
    style: Style, label: int, wanted: int, seed: np.random.SeedSequence, report: Callable[[int], None]
) -> RawJets:
    pythia_seed = 1 + int(seed.generate_state(1)[0]) % 900_000_000  # Pythia's largest seed
    collisions = Collisions(style, style.class_names[label], pythia_seed)
    rng = np.random.default_rng(seed)
    parts: list[RawJets] = []
    done = fruitless = seen = 0
    while done < wanted:
        events = int(np.clip(wanted - done, _FEWEST_EVENTS, _MOST_EVENTS))
        particles = near_partons(collisions.next(events), style.neighbourhood)
        jets = _select(style, label, particles, style.detector(particles, rng), seen)
        seen += events
        fruitless = 0 if len(jets) else fruitless + 1
        if fruitless > _PATIENCE:
            raise DataError(
                f"class '{style.class_names[label]}': no jet in the window in {_PATIENCE} batches of events"
            )
        parts.append(jets)
        done += len(jets)
        report(min(done, wanted))
    return concatenate(parts).select(np.arange(wanted))


def _select(
    style: Style, label: int, particles: Particles, candidates: Candidates, first_event: int
) -> RawJets:
    """Clustered jets inside the style's window and matched to a hard parton, constituents by falling pt."""
    clusters = cluster(candidates, len(particles.partons), style.radius, min_pt=style.jet_pt[0] / 2)
    jet = np.repeat(np.arange(len(clusters.event)), np.diff(clusters.offsets))
    members = clusters.members[np.lexsort((-candidates.pt[clusters.members], jet))]
    found = RawJets(
        candidates.columns(members),
        clusters.offsets,
        np.full(len(clusters.event), label, np.int64),
        style.class_names,
    )
    names = ("jet_pt", "jet_eta", "jet_phi", "jet_energy", "jet_mass")
    pt, eta, phi, *_ = axis = [found.column(name) for name in names]
    prongs = (particles.partons[:, :, None] if particles.prongs is None else particles.prongs)[clusters.event]
    distance = np.hypot(prongs[..., 0] - eta[:, None, None], wrap_phi(prongs[..., 1] - phi[:, None, None]))
    low, high = style.jet_pt
    is_matched = (distance < style.matching).all(axis=2).any(axis=1)
    chosen = (pt > low) & (pt < high) & (np.abs(eta) < style.max_eta) & is_matched
    if style.leading:
        chosen &= _is_hardest(pt, clusters.event, len(particles.partons))
    jets = {**dict(zip(names, axis, strict=True)), "event": first_event + clusters.event}
    return replace(found, jets=jets).select(chosen)


def _is_hardest(pt: Array, event: NDArray[np.int64], events: int) -> NDArray[np.bool_]:
    """Whether each jet is the hardest of its event."""
    highest = np.zeros(events)
    np.maximum.at(highest, event, pt)
    return np.asarray(pt == highest[event])


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    """As they come back from JSON, so that they can be compared with what was stored."""
    plain: dict[str, Any] = json.loads(json.dumps({name: v for name, v in values.items() if v is not None}))
    return plain
