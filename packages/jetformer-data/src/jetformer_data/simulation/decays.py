"""Where a hard particle's last copy and its decay products lie in Pythia's event records, for a batch at once.

Rows count through the records of a batch; `offsets` `[events + 1]` say where each event begins, and daughters are counted
from there.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from jetformer_data.particles import NEUTRINOS, RESONANCES
from jetformer_data.simulation.hooks import HARD

Ids = NDArray[np.int32]
Rows = NDArray[np.int64]


def last_copies(daughter1: Ids, daughter2: Ids, offsets: Rows) -> Rows:
    """Rows `[events, 2]` of the hard partons' last copies: Pythia copies a particle at each recoil."""
    start = offsets[:-1, None]
    row = start + np.array(HARD)
    while True:
        is_copied = (daughter1[row] == daughter2[row]) & (daughter1[row] > 0)
        if not is_copied.any():
            return row
        row = np.where(is_copied, start + daughter1[row], row)


def prong_rows(pdg_id: Ids, daughter1: Ids, daughter2: Ids, offsets: Rows, hard: Rows, prongs: int) -> Rows:
    """Rows `[events, 2, prongs]` of the quarks, gluons and charged leptons that the particles `hard` `[events, 2]` end in.

    Tops, bosons and their copies are replaced by their daughters until none is left. Where their number is not
    `prongs`, the rows are -1.
    """
    owner, row = np.arange(hard.size), hard.ravel()
    start = np.repeat(offsets[:-1], hard.shape[1])
    ends: list[tuple[Rows, Rows]] = []
    while row.size:
        decays = np.isin(np.abs(pdg_id[row]), RESONANCES) & (daughter1[row] > 0)
        is_end = ~decays & ~np.isin(np.abs(pdg_id[row]), NEUTRINOS)
        ends.append((owner[is_end], row[is_end]))
        owner, row = owner[decays], row[decays]
        counts = np.maximum(daughter2[row] - daughter1[row], 0) + 1
        sibling = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        row = np.repeat(start[owner] + daughter1[row], counts) + sibling
        owner = np.repeat(owner, counts)
    owner, row = (np.concatenate(part) for part in zip(*ends, strict=True))
    counts = np.bincount(owner, minlength=hard.size)
    order = np.argsort(owner, kind="stable")
    complete = order[counts[owner[order]] == prongs]
    result = np.full((hard.size, prongs), -1, np.int64)
    result[counts == prongs] = row[complete].reshape(-1, prongs)
    return result.reshape(*hard.shape, prongs)
