"""The early veto's view of an event, and the weight that makes bosons decay isotropically."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest

from jetformer_data.hooks import isotropy_weight, young_jets


@dataclass
class Parton:
    """As much of Pythia's particle as is asked for."""

    pt: float = 0.0
    rapidity: float = 0.0
    angle: float = 0.0
    final: bool = True
    energy: float = 0.0
    first: int = 0

    def isFinal(self) -> bool:
        return self.final

    def px(self) -> float:
        return self.pt * math.cos(self.angle)

    def py(self) -> float:
        return self.pt * math.sin(self.angle)

    def eta(self) -> float:
        return self.rapidity

    def e(self) -> float:
        return self.energy

    def pAbs(self) -> float:
        return self.pt

    def daughter1(self) -> int:
        return self.first

    def daughter2(self) -> int:
        return self.first + 1


class Event(list[Parton]):
    def size(self) -> int:
        return len(self)


def test_cones_gather_their_neighbours_across_pi() -> None:
    event = Event([Parton(9e9)] * 5)
    event += [Parton(700, 0.1, 3.1), Parton(300, 0.2, -3.1), Parton(950, -1.0, 0.0), Parton(60, -1.0, 0.5)]
    event += [Parton(500, 0.1, 3.1, final=False)]
    jets = young_jets(event, 0.4)
    # 3.1 and -3.1 are 0.083 rad apart: 997-1000 GeV together.
    assert jets == [(pytest.approx(950), -1.0), (pytest.approx(999.3, abs=0.1), 0.1)]


def test_an_event_with_one_parton_has_one_jet() -> None:
    assert len(young_jets(Event([Parton()] * 5 + [Parton(5)]), 0.4)) == 1


@pytest.mark.parametrize("longitudinal", (0.0, 0.23, 1 / 3, 0.9))
def test_accepted_decays_are_flat(longitudinal: float) -> None:
    def weight(cosine: float) -> float:
        boson, energy = 1000.0, 1003.2
        event = Event([Parton()] * 5 + [Parton(boson, first=7), Parton(boson, first=9)])
        for c in (cosine, 0.0):
            event += [Parton(energy=(energy + c * boson) / 2), Parton(energy=(energy - c * boson) / 2)]
        return isotropy_weight(event, longitudinal)

    cosines = np.linspace(-1, 1, 21)
    density = (1 - longitudinal) * 3 / 8 * (1 + cosines**2) + longitudinal * 3 / 4 * (1 - cosines**2)
    accepted = density * [weight(c) for c in cosines]
    if longitudinal < 0.9:
        np.testing.assert_allclose(accepted, accepted[0])
    assert all(0 <= weight(c) <= 1 for c in cosines)
