"""What must hold of every constituent and every jet alone, as a table; a new rule is a row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from jetformer_data.raw import RawJets

Mask = NDArray[np.bool_]

MAX_ETA = 6.0
_ANGLES = ("phi", "phirel", "part_dphi")
_KINDS = ("is_charged_hadron", "is_neutral_hadron", "is_photon", "is_electron", "is_muon")
# What float32 does to an angle near pi, and to a massless particle's energy.
_ANGLE_ROUNDING, _ENERGY_ROUNDING = 1e-6, 1e-5


@dataclass(frozen=True)
class Rule:
    """`wrong(raw)` is True where a constituent (or jet, by `of`) is not `phrase`; `shown` is what to print of it.

    It is asked where `needs` can be had and at least one of `stored` is in the file itself. `only_ours`: files in other
    formats may break it, since `convert` mends it or people publish such jets, so there it is a warning.
    """

    name: str
    of: Literal["constituents", "jets"]
    needs: tuple[str, ...]
    wrong: Callable[[RawJets], Mask]
    phrase: str
    shown: str | None = None
    stored: tuple[str, ...] = ()
    only_ours: bool = False

    def applies_to(self, raw: RawJets) -> bool:
        is_stored = not self.stored or any(n in raw.constituents or n in raw.jets for n in self.stored)
        return is_stored and all(raw.has(name) for name in self.needs)


def _beyond_pi(names: tuple[str, ...], raw: RawJets) -> Mask:
    columns = [raw.column(name) for name in names if name in raw.constituents or name in raw.jets]
    return np.asarray(np.any([abs(c) > np.pi + _ANGLE_ROUNDING for c in columns], axis=0), np.bool_)


def _below_momentum(raw: RawJets) -> Mask:
    momentum = np.sqrt(raw.column("px") ** 2 + raw.column("py") ** 2 + raw.column("pz") ** 2)
    return np.asarray(raw.column("energy") < momentum * (1 - _ENERGY_ROUNDING))


def _not_one_kind(raw: RawJets) -> Mask:
    flags = np.stack([raw.column(name) for name in _KINDS])
    return np.asarray((flags.sum(axis=0) > 1) | ~np.isin(flags, (0, 1)).all(axis=0))


def _rises(raw: RawJets) -> Mask:
    """Where the pt is greater than that of the constituent before."""
    pt = raw.column("pt").astype(np.float32)
    rises = np.zeros(len(pt), np.bool_)
    rises[1:] = pt[1:] > pt[:-1]
    rises[raw.offsets[:-1][np.diff(raw.offsets) > 0]] = False
    return rises


def _column(name: str, wrong: Callable[[Any], Any]) -> Callable[[RawJets], Mask]:
    return lambda raw: np.asarray(wrong(raw.column(name)), np.bool_)


_IN_PI = "in [-pi, pi)"
RULES = (
    Rule("pt", "constituents", ("pt",), _column("pt", lambda x: x <= 0), "above 0", "pt"),
    Rule(
        "eta",
        "constituents",
        ("eta",),
        _column("eta", lambda x: abs(x) >= MAX_ETA),
        f"within {MAX_ETA:.0f} of 0",
        "eta",
    ),
    Rule(
        "phi",
        "constituents",
        (),
        lambda raw: _beyond_pi(_ANGLES, raw),
        _IN_PI,
        stored=_ANGLES,
        only_ours=True,
    ),
    Rule(
        "energy",
        "constituents",
        ("energy", "px", "py", "pz"),
        _below_momentum,
        "at least |p|",
        "energy",
        ("energy",),
        only_ours=True,
    ),
    Rule("order", "constituents", ("pt",), _rises, "sorted by falling pt", "pt", only_ours=True),
    Rule(
        "charge",
        "constituents",
        ("charge",),
        _column("charge", lambda x: ~np.isin(x, (-1, 0, 1))),
        "-1, 0 or 1",
        "charge",
    ),
    Rule("kind", "constituents", _KINDS, _not_one_kind, "flagged as one kind or as none"),
    Rule(
        "jet pt",
        "jets",
        ("jet_pt",),
        lambda raw: (raw.column("jet_pt") <= 0) & (np.diff(raw.offsets) > 0),
        "above 0",
        "jet_pt",
        ("jet_pt",),
    ),
    Rule(
        "jet mass",
        "jets",
        ("jet_mass",),
        _column("jet_mass", lambda x: x < 0),
        "0 or more",
        "jet_mass",
        ("jet_mass",),
    ),
    Rule(
        "jet phi",
        "jets",
        ("jet_phi",),
        lambda raw: _beyond_pi(("jet_phi",), raw),
        _IN_PI,
        "jet_phi",
        ("jet_phi",),
    ),
)
