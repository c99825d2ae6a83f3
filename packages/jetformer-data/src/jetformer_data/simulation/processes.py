"""The hard processes of each class, as Pythia settings, and the styles of public jet sets that they make up."""

from __future__ import annotations

from dataclasses import dataclass, replace

from jetformer_data.simulation.detector import Detector
from jetformer_data.simulation.energy_flow import EnergyFlow
from jetformer_data.simulation.segmented import SegmentedDetector

_PARTONS = (1, 2, 3, 4, 5, 21)
_HADRONIC_W = ("24:onMode = off", "24:onIfAny = 1 2 3 4 5")
_HADRONIC_Z = ("23:onMode = off", "23:onIfAny = 1 2 3 4 5")


@dataclass(frozen=True)
class Process:
    """The hard process of a class.

    settings    Pythia's
    parents     absolute PDG numbers of the hard particles that make jets of the class; another one is ignored
    prongs      how many quarks, gluons and charged leptons such a particle must decay to, each of them within the jet;
                0 where it is the particle itself that a jet is matched to
    """

    settings: tuple[str, ...]
    parents: tuple[int, ...]
    prongs: int = 0


# Pairs of the same particle, so that both jets of an event belong to the class. Bosons keep Pythia's polarisation: decays
# made isotropic widen W and Z jets to 8-9 % above those of the HLS4ML set, where these agree within 5 %.
_WW = Process(("WeakDoubleBoson:ffbar2WW = on", *_HADRONIC_W), (24,))
_Z_PAIRS = ("WeakDoubleBoson:ffbar2gmZgmZ = on", "WeakZ0:gmZmode = 2")
_ZZ = Process((*_Z_PAIRS, *_HADRONIC_Z), (23,))
_TOPS = ("Top:gg2ttbar = on", "Top:qqbar2ttbar = on")
_TT = Process((*_TOPS, *_HADRONIC_W), (6,))

# Two choices were made by what the public jets look like: b quarks are as likely as others among the quarks and absent
# from decays of Z bosons (see docs/data/generator.md).
_QUARK_PAIRS = ("HardQCD:gg2qqbar = on", "HardQCD:qqbar2qqbarNew = on", "HardQCD:nQuarkNew = 5")
_LIGHT_ZZ = (*_Z_PAIRS, "23:onMode = off", "23:onIfAny = 1 2 3 4")
HLS4ML_PROCESSES = {
    "g": Process(("HardQCD:gg2gg = on", "HardQCD:qqbar2gg = on"), (21,)),
    "q": Process(_QUARK_PAIRS, (1, 2, 3, 4, 5)),
    "W": _WW,
    "Z": Process(_LIGHT_ZZ, (23,)),
    "t": _TT,
}

# The names of JetClass' files (HToBB, HToWW2Q1L, ZJetsToNuNu, TTBarLep, ...) tell final states: QCD jets recoil against an
# invisible Z, so most are quarks; tau leptons do not count as leptons.
_INVISIBLE_Z = ("23:onMode = off", "23:onIfAny = 12 14 16")


def _higgs(prongs: int, *decay: str) -> Process:
    settings = ("HiggsSM:ffbar2HZ = on", *_INVISIBLE_Z, "25:onMode = off", *decay)
    return Process(settings, (25,), prongs)


_Z_JETS = ("WeakBosonAndParton:qqbar2gmZg = on", "WeakBosonAndParton:qg2gmZq = on", "WeakZ0:gmZmode = 2")
_ANY_W = ("24:onMode = off", "24:onIfAny = 1 2 3 4 5 11 13")
JETCLASS_PROCESSES = {
    "QCD": Process((*_Z_JETS, *_INVISIBLE_Z), _PARTONS),
    "Hbb": _higgs(2, "25:onIfMatch = 5 -5"),
    "Hcc": _higgs(2, "25:onIfMatch = 4 -4"),
    "Hgg": _higgs(2, "25:onIfMatch = 21 21"),
    "H4q": _higgs(4, "25:onIfMatch = 24 -24", *_HADRONIC_W),
    "Hqql": _higgs(3, "25:onIfMatch = 24 -24", *_ANY_W),
    "Zqq": replace(_ZZ, prongs=2),
    "Wqq": replace(_WW, prongs=2),
    "Tbqq": replace(_TT, prongs=3),
    "Tbl": Process((*_TOPS, "24:onMode = off", "24:onIfAny = 11 13"), (6,), 2),
}

COMMON = (
    "Print:quiet = on",
    "Beams:eCM = 13000.",
    # Consistency checks of the event record cost 1-2 % and change nothing.
    "Check:event = off",
)


@dataclass(frozen=True)
class Style:
    """What a public set of jets is made of. Momenta in GeV.

    parton_pt       window of the hard partons' pt
    jet_pt          window of the jets' pt, as reconstructed
    early_pt        looser window of a jet's pt when the shower has evolved down to `early_scale` (GeV): events without
                    a jet inside are given up before most of their cost is spent (see `hooks`)
    max_eta         of a jet, absolute
    radius          of the anti-kT jets
    matching        largest delta R between a jet and its parton, or between a jet and each prong of its parton
    neighbourhood   only particles within this delta R of a hard parton reach the detector: those further away cannot
                    change the jet around it, and clustering them would take most of FastJet's time
    detector        what the particles are seen with
    features        name of the feature set that is stored unless another is asked for
    leading         whether only the hardest jet of an event is taken
    """

    name: str
    processes: dict[str, Process]
    parton_pt: tuple[float, float]
    jet_pt: tuple[float, float]
    early_pt: tuple[float, float]
    early_scale: float
    max_eta: float
    radius: float
    matching: float
    neighbourhood: float
    detector: Detector
    features: str
    leading: bool = False

    @property
    def class_names(self) -> tuple[str, ...]:
        """In the order of the labels."""
        return tuple(self.processes)


STYLES = {
    "hls4ml": Style(
        name="hls4ml",
        processes=HLS4ML_PROCESSES,
        parton_pt=(995.0, 1005.0),
        jet_pt=(800.0, 1600.0),
        early_pt=(600.0, 2000.0),
        early_scale=20.0,
        max_eta=5.0,
        radius=0.4,
        matching=0.4,
        neighbourhood=1.0,
        detector=SegmentedDetector(),
        features="hls4ml-3",
        leading=True,
    ),
    "jetclass": Style(
        name="jetclass",
        processes=JETCLASS_PROCESSES,
        parton_pt=(450.0, 1100.0),
        jet_pt=(500.0, 1000.0),
        early_pt=(480.0, 1050.0),
        early_scale=20.0,
        max_eta=2.0,
        radius=0.8,
        matching=0.8,
        neighbourhood=2.0,
        detector=EnergyFlow(),
        features="jetclass-17",
    ),
}


def pythia_settings(style: Style, class_name: str, seed: int | None = None) -> list[str]:
    """Every setting of the run that makes jets of one class; without a seed, those that runs share."""
    return [
        *COMMON,
        *style.processes[class_name].settings,
        f"PhaseSpace:pTHatMin = {style.parton_pt[0]}",
        f"PhaseSpace:pTHatMax = {style.parton_pt[1]}",
        *([] if seed is None else ["Random:setSeed = on", f"Random:seed = {seed}"]),
    ]
