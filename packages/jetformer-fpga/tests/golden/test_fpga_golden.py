"""Logits of one seeded network on fixed inputs, so that a change of the arithmetic can't pass unseen."""

from __future__ import annotations

import numpy as np

from jetformer_fpga import reference, state, vectors

EXPECTED = [[-9, -4, 12, 5, 13], [18, 5, -18, 13, 58], [-38, -27, 83, -1, 1], [8, -32, 55, 4, -2]]


def test_logits_of_the_corner_vectors(odd_state: state.State) -> None:
    asked = vectors.corners(odd_state)
    assert reference.logits(odd_state, asked.x, asked.mask)[:4].tolist() == EXPECTED
    assert np.unique(reference.logits(odd_state, asked.x, asked.mask), axis=0).shape[0] > 5
