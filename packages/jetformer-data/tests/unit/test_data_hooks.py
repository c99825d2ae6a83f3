"""The early vetoes' view of an unfinished event."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest

from jetformer_data.simulation.hooks import has_prongs, invisible_momentum, young_jets

GLUON, TOP, W, B, ELECTRON, NEUTRINO = 21, 6, 24, 5, 11, 12


@dataclass
class Parton:
    """As much of Pythia's particle as is asked for."""

    transverse: float = 0.0
    rapidity: float = 0.0
    angle: float = 0.0
    final: bool = True
    number: int = GLUON
    first: int = 0
    last: int = 0

    def isFinal(self) -> bool:
        return self.final

    def id(self) -> int:
        return self.number

    def idAbs(self) -> int:
        return abs(self.number)

    def daughter1(self) -> int:
        return self.first

    def daughter2(self) -> int:
        return self.last

    def px(self) -> float:
        return self.transverse * math.cos(self.angle)

    def py(self) -> float:
        return self.transverse * math.sin(self.angle)

    def eta(self) -> float:
        return self.rapidity

    def phi(self) -> float:
        return self.angle


class Event(list[Parton]):
    def size(self) -> int:
        return len(self)


def test_cones_gather_their_neighbours_across_pi() -> None:
    event = Event([Parton(9e9)] * 5)
    event += [Parton(700, 0.1, 3.1), Parton(300, 0.2, -3.1), Parton(950, -1.0, 0.0), Parton(60, -1.0, 0.5)]
    event += [Parton(500, 0.1, 3.1, final=False)]
    jets = young_jets(event, 0.4, {})
    # 3.1 and -3.1 are 0.083 rad apart: 997-1000 GeV together.
    assert jets == [(pytest.approx(950), -1.0), (pytest.approx(999.3, abs=0.1), 0.1)]


def test_an_event_with_one_parton_has_one_jet() -> None:
    assert len(young_jets(Event([Parton()] * 5 + [Parton(5)]), 0.4, {})) == 1


def test_particles_count_without_their_neutrinos_and_others_not_at_all() -> None:
    event = Event([Parton()] * 5)
    event += [Parton(700, 0.1, 0.0, number=TOP), Parton(650, 0.2, 3.0, number=-TOP), Parton(40, -1.0, 1.5)]
    assert young_jets(event, 0.4, {TOP: (100.0, 0.0)}) == [
        (pytest.approx(600), 0.1),
        (pytest.approx(40), -1.0),
    ]


def leptonic_top(lepton_angle: float) -> Event:
    """A top in row 5 that decays to b W, the W by way of a copy to an electron and its neutrino."""
    event = Event([Parton() for _ in range(5)])
    return Event(
        [
            *event,
            Parton(600, 0.0, 3.1, False, TOP, 6, 7),
            Parton(300, 0.2, -3.1, number=B),
            Parton(300, -0.2, 3.0, False, W, 8, 8),
            Parton(300, -0.2, 3.0, False, W, 9, 10),
            Parton(200, -0.1, lepton_angle, number=-ELECTRON),
            Parton(100, -0.3, math.pi / 2, number=NEUTRINO),
        ]
    )


def test_prongs_are_found_at_the_end_of_the_decay() -> None:
    event = leptonic_top(2.9)
    assert has_prongs(event, 5, 2, 0.8)
    assert not has_prongs(event, 5, 3, 0.8)
    assert not has_prongs(event, 5, 2, 0.2)
    assert not has_prongs(leptonic_top(2.0), 5, 2, 0.8)
    assert invisible_momentum(event, 5) == pytest.approx((0, 100))
