"""What Pythia asks while an event is being made: whether to give it up early."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache
from typing import Any

from jetformer_data.extras import require
from jetformer_data.particles import NEUTRINOS, RESONANCES
from jetformer_data.simulation.processes import Process, Style

# Pythia's record starts with the system, two beams and two incoming partons; the hard process leaves entries 5 and 6.
HARD = (5, 6)
# Steps of the evolution at which pt is vetoed: 1-3 belong to the hard process, later ones to decays of resonances, when
# the multi-parton interactions are already paid for.
_LAST_HARD_STEP = 3
# Prongs are first held to this multiple of the style's delta R, since recoils still turn them and their jet.
_LOOSE = 1.25

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
            self.parents: dict[int, tuple[float, float]] = {}

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
            jets = young_jets(event, self.style.radius, self.parents)
            keep = any(low < pt < high and abs(eta) < most for pt, eta in jets)
            self.seen += 1
            self.kept += keep
            return not keep

        def canVetoResonanceDecays(self) -> bool:
            return True

        def doVetoResonanceDecays(self, process: Any) -> bool:
            """Give up an event whose particles decay to other numbers of prongs, or too widely for one jet."""
            radius, prongs = _LOOSE * self.style.matching, self.process.prongs
            able = [
                i
                for i in HARD
                if process[i].idAbs() in self.process.parents
                and (not prongs or has_prongs(process, i, prongs, radius))
            ]
            self.parents = {process[i].id(): invisible_momentum(process, i) for i in able}
            return not able

    return Hooks


def young_jets(
    event: Any, radius: float, parents: Mapping[int, tuple[float, float]]
) -> list[tuple[float, float]]:
    """(pt, eta) of two cones around the hardest partons of an unfinished event, hardest first.

    Tops and bosons are whole in it. Those whose PDG numbers are not among `parents` are passed over, the others count
    without the (px, py) that `parents` says neutrinos will take.
    """
    partons: list[_Parton] = []
    for i in range(HARD[0], event.size()):
        particle = event[i]
        number = particle.id()
        if particle.isFinal() and (number in parents or abs(number) not in RESONANCES):
            lost = parents.get(number, (0.0, 0.0))
            px, py = particle.px() - lost[0], particle.py() - lost[1]
            partons.append((math.hypot(px, py), particle.eta(), math.atan2(py, px), px, py))
    partons.sort(reverse=True)
    jets: list[tuple[float, float]] = []
    while partons and len(jets) < 2:
        inside, outside = _cone(partons, radius)
        jets.append((math.hypot(sum(p[3] for p in inside), sum(p[4] for p in inside)), partons[0][1]))
        partons = outside
    return jets


def has_prongs(process: Any, i: int, prongs: int, radius: float) -> bool:
    """Whether particle `i` decays to that many quarks, gluons and charged leptons within `radius` of its direction."""
    eta, phi = process[i].eta(), process[i].phi()
    ends = [process[k] for k in _ends(process, i) if process[k].idAbs() not in NEUTRINOS]
    return len(ends) == prongs and all(
        math.hypot(end.eta() - eta, math.remainder(end.phi() - phi, 2 * math.pi)) < radius for end in ends
    )


def invisible_momentum(process: Any, i: int) -> tuple[float, float]:
    """(px, py) of the neutrinos that particle `i` decays to."""
    neutrinos = [process[k] for k in _ends(process, i) if process[k].idAbs() in NEUTRINOS]
    return sum(n.px() for n in neutrinos), sum(n.py() for n in neutrinos)


def _ends(process: Any, i: int) -> list[int]:
    """What particle `i` decays to in the end, itself where it does not."""
    particle = process[i]
    if particle.idAbs() not in RESONANCES or particle.daughter1() <= 0:
        return [i]
    last = max(particle.daughter1(), particle.daughter2())
    return [k for child in range(particle.daughter1(), last + 1) for k in _ends(process, child)]


def _cone(partons: list[_Parton], radius: float) -> tuple[list[_Parton], list[_Parton]]:
    """The partons within `radius` of the first, and the others."""
    _, eta, phi, *_ = partons[0]
    inside: list[_Parton] = []
    outside: list[_Parton] = []
    for parton in partons:
        distance = math.hypot(parton[1] - eta, math.remainder(parton[2] - phi, 2 * math.pi))
        (inside if distance < radius else outside).append(parton)
    return inside, outside
