"""Jets as a source or a detector gives them: named columns of any precision, from which feature sets are computed.

`RawJets` is what every reader yields, what the generator makes and what every writer of a published layout takes.
A column that is absent is derived from others where physics allows it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from jetformer_data.errors import DataError
from jetformer_data.jets import JET_UNITS as STORED_JET_UNITS
from jetformer_data.jets import offsets_of, wrap_phi

Array = NDArray[np.float64]

# Names and units of constituents' columns, wherever they come from. eta and phi are absolute.
CONSTITUENT_UNITS = {
    "px": "GeV",
    "py": "GeV",
    "pz": "GeV",
    "energy": "GeV",
    "pt": "GeV",
    "eta": "1",
    "phi": "rad",
    "etarel": "1",  # eta - jet_eta
    "phirel": "rad",  # phi - jet_phi, in [-pi, pi)
    "charge": "e",
    "is_charged_hadron": "1",
    "is_neutral_hadron": "1",
    "is_photon": "1",
    "is_electron": "1",
    "is_muon": "1",
    "d0": "mm",
    "d0_error": "mm",
    "dz": "mm",
    "dz_error": "mm",
}
JET_UNITS = {
    **STORED_JET_UNITS,
    "jet_energy": "GeV",
    "jet_sdmass": "GeV",  # soft drop
    "jet_tau1": "1",  # N-subjettiness
    "jet_tau2": "1",
    "jet_tau3": "1",
    "jet_tau4": "1",
}


@dataclass(frozen=True, eq=False)
class RawJets:
    """Ragged jets; the constituents of jet `j` are the rows `offsets[j]:offsets[j + 1]` of every constituent column.

    constituents    name -> `[constituents]`, names of `CONSTITUENT_UNITS` or a source's own
    jets            name -> `[jets]`, names of `JET_UNITS` or a source's own
    offsets         int64 `[jets + 1]`
    labels          int64 `[jets]`, index into `class_names`
    where           file and place, for messages
    dropped         reason -> number of jets that the source held but that are not here
    """

    constituents: Mapping[str, NDArray[np.generic]]
    offsets: NDArray[np.int64]
    labels: NDArray[np.int64]
    class_names: tuple[str, ...]
    jets: Mapping[str, NDArray[np.generic]] = field(default_factory=dict)
    where: str = "jets in memory"
    dropped: Mapping[str, int] = field(default_factory=dict)
    _derived: dict[str, Array] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def jet_of(self) -> NDArray[np.int64]:
        """The jet that each constituent belongs to, int64 `[constituents]`."""
        return np.repeat(np.arange(len(self)), np.diff(self.offsets))

    def column(self, name: str) -> Array:
        """A column of constituents or jets in float64, stored or derived; raises `DataError` where neither is possible."""
        stored = self.constituents.get(name, self.jets.get(name))
        if stored is not None:
            return stored.astype(np.float64)
        if name not in self._derived:
            derivation = self._derivation(name, ())
            if derivation is None:
                raise DataError(f"{self.where}: holds no '{name}', and nothing to derive it from")
            self._derived[name] = derivation.formula(self)
        return self._derived[name]

    def has(self, name: str) -> bool:
        """Whether `column(name)` is stored or can be derived."""
        return self._has(name, ())

    def _has(self, name: str, asking: tuple[str, ...]) -> bool:
        return name in self.constituents or name in self.jets or self._derivation(name, asking) is not None

    def _derivation(self, name: str, asking: tuple[str, ...]) -> _Derivation | None:
        """The first rule whose needs are met without what is being asked for, so that no rule runs in a circle."""
        if name in asking:
            return None
        for derivation in _DERIVATIONS.get(name, ()):
            if all(self._has(need, (*asking, name)) for need in derivation.needs):
                return derivation
        return None

    def slice(self, start: int, stop: int) -> RawJets:
        """Jets `start:stop` as views."""
        offsets = self.offsets[start : stop + 1]
        first, last = int(offsets[0]), int(offsets[-1])
        return RawJets(
            {name: values[first:last] for name, values in self.constituents.items()},
            offsets - first,
            self.labels[start:stop],
            self.class_names,
            {name: values[start:stop] for name, values in self.jets.items()},
            self.where,
        )

    def select(self, chosen: NDArray[np.generic]) -> RawJets:
        """The jets that a boolean mask `[jets]` or an array of positions picks, in that order."""
        positions = np.flatnonzero(chosen) if chosen.dtype == bool else chosen.astype(np.int64)
        counts = np.diff(self.offsets)[positions]
        offsets = offsets_of(counts)
        rows = np.arange(offsets[-1]) + np.repeat(self.offsets[positions] - offsets[:-1], counts)
        return RawJets(
            {name: values[rows] for name, values in self.constituents.items()},
            offsets,
            self.labels[positions],
            self.class_names,
            {name: values[positions] for name, values in self.jets.items()},
            self.where,
            self.dropped,
        )


def concatenate(sets: Sequence[RawJets]) -> RawJets:
    """One set of jets after another; the columns, class names and place are those of the first."""
    first = sets[0]
    return RawJets(
        {name: np.concatenate([raw.constituents[name] for raw in sets]) for name in first.constituents},
        offsets_of(np.concatenate([np.diff(raw.offsets) for raw in sets])),
        np.concatenate([raw.labels for raw in sets]),
        first.class_names,
        {name: np.concatenate([raw.jets[name] for raw in sets]) for name in first.jets},
        first.where,
        dict(sum((Counter(raw.dropped) for raw in sets), Counter())),
    )


@dataclass(frozen=True)
class _Derivation:
    needs: tuple[str, ...]
    formula: Callable[[RawJets], Array]


def _sum(name: str) -> Callable[[RawJets], Array]:
    return lambda raw: np.bincount(raw.jet_of, raw.column(name), minlength=len(raw)).astype(np.float64)


def _eta(px: Array, py: Array, pz: Array) -> Array:
    pt = np.hypot(px, py)
    # A particle along the beam gets a large eta instead of an infinite one.
    return np.asarray(np.arcsinh(pz / np.maximum(pt, 1e-12)))


def _rule(needs: str, formula: Callable[..., Array]) -> _Derivation:
    names = tuple(needs.split())
    return _Derivation(names, lambda raw: np.asarray(formula(*(raw.column(name) for name in names))))


def _on_axis(name: str, relative: str, sign: int) -> Callable[[RawJets], Array]:
    """A constituent's angle plus (`sign` 1) or minus (-1) that of its jet."""
    return lambda raw: raw.column(name) + sign * raw.column(relative)[raw.jet_of]


# In order of preference. A constituent without an energy is massless.
_DERIVATIONS: dict[str, tuple[_Derivation, ...]] = {
    "px": (_rule("pt phi", lambda pt, phi: pt * np.cos(phi)),),
    "py": (_rule("pt phi", lambda pt, phi: pt * np.sin(phi)),),
    "pz": (_rule("pt eta", lambda pt, eta: pt * np.sinh(eta)),),
    "energy": (_rule("pt eta", lambda pt, eta: pt * np.cosh(eta)),),
    "pt": (_rule("px py", np.hypot),),
    "eta": (_rule("px py pz", _eta), _Derivation(("etarel", "jet_eta"), _on_axis("etarel", "jet_eta", 1))),
    "phi": (
        _rule("px py", lambda px, py: np.arctan2(py, px)),
        _Derivation(("phirel", "jet_phi"), lambda raw: wrap_phi(_on_axis("phirel", "jet_phi", 1)(raw))),
    ),
    "etarel": (_Derivation(("eta", "jet_eta"), _on_axis("eta", "jet_eta", -1)),),
    "phirel": (_Derivation(("phi", "jet_phi"), lambda raw: wrap_phi(_on_axis("phi", "jet_phi", -1)(raw))),),
    "jet_px": (_Derivation(("px",), _sum("px")),),
    "jet_py": (_Derivation(("py",), _sum("py")),),
    "jet_pz": (_Derivation(("pz",), _sum("pz")),),
    "jet_energy": (_Derivation(("energy",), _sum("energy")),),
    "jet_pt": (_rule("jet_px jet_py", np.hypot),),
    "jet_eta": (_rule("jet_px jet_py jet_pz", _eta),),
    "jet_phi": (_rule("jet_px jet_py", lambda px, py: np.arctan2(py, px)),),
    "jet_mass": (
        _rule(
            "jet_energy jet_px jet_py jet_pz",
            lambda e, px, py, pz: np.sqrt(np.maximum(e**2 - px**2 - py**2 - pz**2, 0)),
        ),
    ),
}
