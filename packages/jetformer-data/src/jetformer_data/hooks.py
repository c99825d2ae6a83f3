"""What Pythia asks while an event is being made: whether to give it up early."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

from jetformer_data.extras import require
from jetformer_data.processes import Process, Style

# Pythia's record starts with the system, two beams and two incoming partons; the hard process leaves entries 5 and 6.
HARD = (5, 6)
# Steps of the evolution at which pt is vetoed: 1-3 belong to the hard process, later ones to decays of resonances, when
# the multi-parton interactions are already paid for.
_LAST_HARD_STEP = 3

_Parton = tuple[float, float, float, float, float]  # pt, eta, phi, px, py


def make_hooks(style: Style, process: Process) -> Any:
    """The hooks of one run."""
    return _hooks_class()(style, process)


@cache
def _hooks_class() -> type:
    """The class of hooks, made when it is first needed since its base exists only where Pythia is installed.

    It must not enclose a run: that would keep the run's memory until Python happens to look for cycles.
    """
    pythia8 = require("pythia8mc", "generate")

    class Hooks(pythia8.UserHooks):  # type: ignore[name-defined]
        """`seen` and `kept` count the events at the early veto. Method names are Pythia's."""

        def __init__(self, style: Style, process: Process) -> None:
            pythia8.UserHooks.__init__(self)
            self.style = style
            self.process = process
            self.seen = self.kept = 0

        def canVetoPT(self) -> bool:
            return True

        def scaleVetoPT(self) -> float:
            return self.style.early_scale

        def doVetoPT(self, step: int, event: Any) -> bool:
            """Give up an event none of whose jets can end in the style's window of pt.

            The shower evolves downwards in pt. At `early_scale` the event is a few dozen partons, the recoils and
            hard emissions that decide on a jet's pt have happened, and nearly all of the time (soft multi-parton
            interactions, hadronisation, decays) is still to be spent.
            """
            if step > _LAST_HARD_STEP:
                return False
            (low, high), most = self.style.early_pt, self.style.max_eta
            keep = any(
                low < pt < high and abs(eta) < most for pt, eta in young_jets(event, self.style.radius)
            )
            self.seen += 1
            self.kept += keep
            return not keep

    return Hooks


def young_jets(event: Any, radius: float) -> list[tuple[float, float]]:
    """(pt, eta) of two cones around the hardest partons of an unfinished event, hardest first."""
    partons: list[_Parton] = []
    for i in range(HARD[0], event.size()):
        particle = event[i]
        if particle.isFinal():
            px, py = particle.px(), particle.py()
            partons.append((math.hypot(px, py), particle.eta(), math.atan2(py, px), px, py))
    partons.sort(reverse=True)
    jets: list[tuple[float, float]] = []
    while partons and len(jets) < 2:
        inside, outside = _cone(partons, radius)
        jets.append((math.hypot(sum(p[3] for p in inside), sum(p[4] for p in inside)), partons[0][1]))
        partons = outside
    return jets


def _cone(partons: list[_Parton], radius: float) -> tuple[list[_Parton], list[_Parton]]:
    """The partons within `radius` of the first, and the others."""
    _, eta, phi, *_ = partons[0]
    inside: list[_Parton] = []
    outside: list[_Parton] = []
    for parton in partons:
        distance = math.hypot(parton[1] - eta, math.remainder(parton[2] - phi, 2 * math.pi))
        (inside if distance < radius else outside).append(parton)
    return inside, outside
