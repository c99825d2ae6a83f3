"""From one seed to the jets of one shard: collide, detect, cluster, select."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

import numpy as np

from jetformer_data.clustering import cluster
from jetformer_data.collisions import Collisions, Particles, near_partons
from jetformer_data.detector import CMS, Candidates, detect
from jetformer_data.errors import DataError
from jetformer_data.jets import JET_UNITS, UNITS, Jets, concatenate, offsets_of, wrap_phi
from jetformer_data.kinematics import jet_axis_features
from jetformer_data.processes import Style, pythia_settings

_MOST_EVENTS = 100
_FEWEST_EVENTS = 10
# Batches without a single new jet before a run is given up: far more than chance allows.
_PATIENCE = 50
# Only particles within this delta R of a hard parton are simulated in the detector: those further away cannot change an
# anti-kT jet of R = 0.4 around it, and clustering them would take most of FastJet's time.
_NEIGHBOURHOOD = 1.0


def make_jets(
    style: Style, start: int, jets: int, seeds: np.random.SeedSequence, report: Callable[[int], None]
) -> Jets:
    """The jets at positions `start:start + jets` of a balanced set, in random order; `report(done)` as they appear."""
    wanted = np.bincount(
        np.arange(start, start + jets) % len(style.class_names), minlength=len(style.class_names)
    )
    *class_seeds, order = seeds.spawn(len(wanted) + 1)
    parts: list[Jets] = []

    def report_part(done: int) -> None:
        report(sum(len(part) for part in parts) + done)

    for label, (count, seed) in enumerate(zip(wanted, class_seeds, strict=True)):
        if count:
            parts.append(_jets_of_class(style, label, int(count), seed, report_part))
    return concatenate(parts).select(np.random.default_rng(order).permutation(jets))


def make_provenance(style: Style, jets: int, seed: int, shard_jets: int) -> dict[str, Any]:
    """All that the jets depend on: nothing about the machine, the time or the number of workers."""
    return {
        "program": "jetformer-data generate",
        "version": version("jetformer-data"),
        "pythia8mc": version("pythia8mc"),
        "fastjet": version("fastjet"),
        "jets": jets,
        "seed": seed,
        "shard_jets": shard_jets,
        "style": {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(style).items()},
        "detector": {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(CMS).items()},
        "pythia": {name: pythia_settings(style, name) for name in style.class_names},
    }


def _jets_of_class(
    style: Style, label: int, wanted: int, seed: np.random.SeedSequence, report: Callable[[int], None]
) -> Jets:
    pythia_seed = 1 + int(seed.generate_state(1)[0]) % 900_000_000  # Pythia's largest seed
    collisions = Collisions(style, style.class_names[label], pythia_seed)
    rng = np.random.default_rng(seed)
    parts: list[Jets] = []
    done = fruitless = 0
    while done < wanted:
        events = int(np.clip(wanted - done, _FEWEST_EVENTS, _MOST_EVENTS))
        particles = near_partons(collisions.next(events), _NEIGHBOURHOOD)
        jets = _select(style, label, particles, detect(particles, rng))
        fruitless = 0 if len(jets) else fruitless + 1
        if fruitless > _PATIENCE:
            raise DataError(
                f"class '{style.class_names[label]}': no jet in the window in {_PATIENCE} batches of events"
            )
        parts.append(jets)
        done += len(jets)
        report(min(done, wanted))
    return concatenate(parts).select(np.arange(wanted))


def _select(style: Style, label: int, particles: Particles, candidates: Candidates) -> Jets:
    """Clustered jets inside the style's window and matched to a hard parton."""
    events = len(particles.partons)
    clusters = cluster(candidates, events, style.radius, min_pt=style.jet_pt[0] / 2)
    axis = np.zeros(len(clusters.event))
    absolute = np.stack(
        [getattr(candidates, name)[clusters.members] for name in ("pt", "eta", "phi")], axis=1
    )
    features = jet_axis_features(absolute, clusters.offsets, axis, axis)
    pt, eta, phi, _ = features.astype(np.float64).T
    partons = particles.partons[clusters.event]
    distance = np.hypot(partons[..., 0] - eta[:, None], wrap_phi(partons[..., 1] - phi[:, None])).min(axis=1)
    low, high = style.jet_pt
    chosen = (pt > low) & (pt < high) & (np.abs(eta) < style.max_eta) & (distance < style.matching)

    jet = np.repeat(np.arange(len(pt)), np.diff(clusters.offsets))
    constituent_pt, constituent_eta, constituent_phi = absolute.T
    relative = np.stack(
        [constituent_pt, constituent_eta - eta[jet], wrap_phi(constituent_phi - phi[jet])], axis=1
    )
    order = np.lexsort((-constituent_pt, jet))
    made = Jets(
        constituents=relative[order].astype(np.float32),
        offsets=offsets_of(np.diff(clusters.offsets)),
        labels=np.full(len(pt), label, np.int64),
        jet_features=features,
        feature_names=tuple(UNITS),
        feature_units=tuple(UNITS.values()),
        class_names=style.class_names,
        jet_feature_names=tuple(JET_UNITS),
        jet_feature_units=tuple(JET_UNITS.values()),
    )
    return made.select(chosen)
