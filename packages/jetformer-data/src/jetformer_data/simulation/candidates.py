"""What a detector reports: particle-flow candidates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

KINDS = ("charged_hadron", "neutral_hadron", "photon", "electron", "muon")
CHARGED_HADRON, NEUTRAL_HADRON, PHOTON, ELECTRON, MUON = range(len(KINDS))
OTHER = -1
IMPACT = ("d0", "d0_error", "dz", "dz_error")


@dataclass(frozen=True, eq=False)
class Candidates:
    """Tracks and calorimeter clusters of a batch of events, one entry a candidate.

    event       int64, as in `Particles`
    pt, energy  GeV;  eta;  phi in rad
    charge      int8, in units of e
    kind        int8, position in `KINDS`, or -1: a charged hadron that no flag is kept for
    impact      `[candidates, 4]`, `IMPACT` in mm, 0 for what has no track; None where the detector does not measure it
    """

    event: NDArray[np.int64]
    pt: Array
    eta: Array
    phi: Array
    energy: Array
    charge: NDArray[np.int8]
    kind: NDArray[np.int8]
    impact: Array | None = None

    def __len__(self) -> int:
        return len(self.pt)

    def select(self, keep: NDArray[np.bool_]) -> Candidates:
        """The candidates where `keep` is True."""
        return Candidates(
            self.event[keep],
            self.pt[keep],
            self.eta[keep],
            self.phi[keep],
            self.energy[keep],
            self.charge[keep],
            self.kind[keep],
            None if self.impact is None else self.impact[keep],
        )

    def columns(self, rows: NDArray[np.int64]) -> dict[str, NDArray[np.generic]]:
        """The constituent columns (see `raw`) of the candidates in these rows."""
        columns: dict[str, NDArray[np.generic]] = {
            name: getattr(self, name)[rows] for name in ("pt", "eta", "phi", "energy", "charge")
        }
        columns |= {f"is_{name}": self.kind[rows] == k for k, name in enumerate(KINDS)}
        if self.impact is not None:
            columns |= {name: self.impact[rows, k] for k, name in enumerate(IMPACT)}
        return columns


def join(parts: Sequence[Candidates]) -> Candidates:
    """The candidates of several parts of a detector."""

    def together(name: str) -> NDArray[Any]:
        return np.concatenate([getattr(part, name) for part in parts])

    impacts = [np.zeros((len(part), len(IMPACT))) if part.impact is None else part.impact for part in parts]
    is_measured = any(part.impact is not None for part in parts)
    return Candidates(
        together("event"),
        together("pt"),
        together("eta"),
        together("phi"),
        together("energy"),
        together("charge"),
        together("kind"),
        np.concatenate(impacts) if is_measured else None,
    )


def neutral(event: NDArray[np.int64], energy: Array, eta: Array, phi: Array, kind: int) -> Candidates:
    """Massless, neutral candidates of one kind."""
    return Candidates(
        event,
        energy / np.cosh(eta),
        eta,
        phi,
        energy,
        np.zeros(len(event), np.int8),
        np.full(len(event), kind, np.int8),
    )
