"""Decay products in the event record of a small, made-up batch."""

from __future__ import annotations

import numpy as np

from jetformer_data.simulation.decays import last_copies, prong_rows

TOP, W, HIGGS, B, UP, MUON, NEUTRINO, GLUON = 6, 24, 25, 5, 2, 13, 14, 21
# Two events. The first: a top (copied once) to b W, W to two quarks; an antitop to b W, W to a muon and a neutrino.
# The second: a Higgs boson to two gluons, and a gluon.
RECORD = np.array(
    [
        # id, first daughter, last daughter (counted within the event)
        *[(0, 0, 0)] * 5,
        (TOP, 7, 7),
        (-TOP, 8, 9),
        (TOP, 10, 11),
        (-B, 0, 0),
        (-W, 12, 13),
        (B, 14, 14),
        (W, 15, 16),
        (MUON, 0, 0),
        (-NEUTRINO, 0, 0),
        (B, 0, 0),
        (UP, 0, 0),
        (-1, 0, 0),
        *[(0, 0, 0)] * 5,
        (HIGGS, 7, 8),
        (GLUON, 9, 9),
        (GLUON, 0, 0),
        (GLUON, 0, 0),
        (GLUON, 0, 0),
    ],
    np.int32,
)
OFFSETS = np.array([0, 17, len(RECORD)])
IDS, FIRST, LAST = RECORD.T


def test_copies_are_followed_to_the_last() -> None:
    assert last_copies(FIRST, LAST, OFFSETS).tolist() == [[7, 6], [17 + 5, 17 + 9]]


def test_prongs_are_quarks_gluons_and_charged_leptons() -> None:
    hard = last_copies(FIRST, LAST, OFFSETS)
    found = {prongs: prong_rows(IDS, FIRST, LAST, OFFSETS, hard, prongs).tolist() for prongs in (1, 2, 3)}
    none2, none3 = [-1] * 2, [-1] * 3
    # The quark of a decay is taken before it radiates (row 10, not its copy 14).
    assert found[3] == [[[10, 15, 16], none3], [none3, none3]]
    assert found[2] == [[none2, [8, 12]], [[24, 25], none2]]
    assert found[1] == [[[-1], [-1]], [[-1], [26]]]
