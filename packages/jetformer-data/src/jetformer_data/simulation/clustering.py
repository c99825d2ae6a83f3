"""Anti-kT jets by FastJet, for a batch of events at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from jetformer_data.extras import require
from jetformer_data.jets import offsets_of
from jetformer_data.simulation.candidates import Candidates


@dataclass(frozen=True, eq=False)
class Clusters:
    """Jets of a batch: `members[offsets[j]:offsets[j + 1]]` are the candidates of jet `j`, which lies in `event[j]`."""

    event: NDArray[np.int64]
    offsets: NDArray[np.int64]
    members: NDArray[np.int64]


def cluster(candidates: Candidates, events: int, radius: float, min_pt: float) -> Clusters:
    """Jets above `min_pt` (GeV) of each event, in no order."""
    awkward, fastjet = require("awkward", "generate"), require("fastjet", "generate")
    order = np.argsort(candidates.event, kind="stable")
    pt, eta, phi, energy = (getattr(candidates, name)[order] for name in ("pt", "eta", "phi", "energy"))
    counts = np.bincount(candidates.event, minlength=events)
    momenta = awkward.zip(
        {"px": pt * np.cos(phi), "py": pt * np.sin(phi), "pz": pt * np.sinh(eta), "E": energy}
    )
    definition = fastjet.JetDefinition(fastjet.antikt_algorithm, radius)
    sequence = fastjet.ClusterSequence(awkward.unflatten(momenta, counts), definition)
    index = sequence.constituent_index(min_pt=min_pt)
    jets, sizes = awkward.num(index, axis=1), awkward.flatten(awkward.num(index, axis=2))
    event = np.repeat(np.arange(events), awkward.to_numpy(jets))
    offsets = offsets_of(awkward.to_numpy(sizes))
    within = awkward.to_numpy(awkward.flatten(index, axis=None))
    first = offsets_of(counts)[:-1]
    members = order[within + np.repeat(first[event], np.diff(offsets))]
    return Clusters(event, offsets, members)
