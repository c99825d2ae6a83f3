"""The early veto's view of an unfinished event."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest

from jetformer_data.hooks import young_jets


@dataclass
class Parton:
    """As much of Pythia's particle as is asked for."""

    pt: float = 0.0
    rapidity: float = 0.0
    angle: float = 0.0
    final: bool = True

    def isFinal(self) -> bool:
        return self.final

    def px(self) -> float:
        return self.pt * math.cos(self.angle)

    def py(self) -> float:
        return self.pt * math.sin(self.angle)

    def eta(self) -> float:
        return self.rapidity


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
