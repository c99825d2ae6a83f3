"""Proton collisions by Pythia 8, in batches of flat arrays."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from jetformer_data.errors import DataError
from jetformer_data.extras import require
from jetformer_data.hooks import HARD, make_hooks
from jetformer_data.jets import wrap_phi
from jetformer_data.processes import Style, pythia_settings


@dataclass(frozen=True, eq=False)
class Particles:
    """Stable particles of a batch of events, one entry a particle. pt and energy in GeV, phi in rad.

    `partons` `[events, 2, 2]` holds eta and phi of the two hard partons (or bosons, tops) after all recoils.
    """

    event: NDArray[np.int64]
    pdg_id: NDArray[np.int64]
    pt: NDArray[np.float64]
    eta: NDArray[np.float64]
    phi: NDArray[np.float64]
    energy: NDArray[np.float64]
    partons: NDArray[np.float64]

    def select(self, keep: NDArray[np.bool_]) -> Particles:
        """The particles where `keep` is True."""
        return Particles(
            self.event[keep],
            self.pdg_id[keep],
            self.pt[keep],
            self.eta[keep],
            self.phi[keep],
            self.energy[keep],
            self.partons,
        )


class Collisions:
    """A Pythia run of one class: `next(events)` gives the stable particles of that many events that pass the veto."""

    def __init__(self, style: Style, class_name: str, seed: int) -> None:
        pythia8 = import_pythia()
        self.pythia = pythia8.Pythia("", False)
        for setting in pythia_settings(style, class_name, seed):
            if not self.pythia.readString(setting):
                raise DataError(f"Pythia does not accept the setting '{setting}'")
        # Pythia itself does not keep the hooks alive.
        self.hooks = make_hooks(style)
        self.pythia.setUserHooksPtr(self.hooks)
        if not self.pythia.init():
            raise DataError(f"Pythia could not start the processes of class '{class_name}'")

    def next(self, events: int) -> Particles:
        """Stable particles of `events` events."""
        record = self.pythia.nextBatch(events).prt
        offsets = np.asarray(record.layout.offsets)
        content = record.layout.content
        columns = {
            name: np.asarray(content[name].data) for name in ("id", "status", "daughter1", "daughter2")
        }
        momenta = [np.asarray(content["p"][name].data) for name in ("px", "py", "pz", "e")]
        last = _last_copies(columns["daughter1"], columns["daughter2"], offsets)
        stable = np.flatnonzero(columns["status"] > 0)
        pt, eta, phi = _cylindrical(*(p[stable] for p in momenta[:3]))
        _, parton_eta, parton_phi = _cylindrical(*(p[last] for p in momenta[:3]))
        event = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))[stable]
        partons = np.stack([parton_eta, parton_phi], axis=-1)
        return Particles(
            event, columns["id"][stable].astype(np.int64), pt, eta, phi, momenta[3][stable], partons
        )


def import_pythia() -> ModuleType:
    """The Pythia module, told where its data lie when it is installed in an unusual place."""
    module = require("pythia8mc", "generate")
    if "PYTHIA8DATA" not in os.environ and module.__file__ is not None:
        # The path compiled into the library is that of its build; the wheel's data may lie in another prefix.
        for folder in Path(module.__file__).parents:
            data = folder / "share" / "Pythia8" / "xmldoc"
            if data.is_dir():
                os.environ["PYTHIA8DATA"] = str(data)
                break
    return module


def near_partons(particles: Particles, radius: float) -> Particles:
    """Only the particles within `radius` in delta R of a hard parton."""
    axes = particles.partons[particles.event]
    deta = particles.eta[:, None] - axes[..., 0]
    dphi = wrap_phi(particles.phi[:, None] - axes[..., 1])
    return particles.select((deta**2 + dphi**2 < radius**2).any(axis=1))


def _last_copies(
    daughter1: NDArray[np.int32], daughter2: NDArray[np.int32], offsets: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Rows `[events, 2]` of the hard partons' last copies: Pythia copies a particle at each recoil."""
    start = offsets[:-1, None]
    row = start + np.array(HARD)
    while True:
        is_copied = (daughter1[row] == daughter2[row]) & (daughter1[row] > 0)
        if not is_copied.any():
            return row
        row = np.where(is_copied, start + daughter1[row], row)


def _cylindrical(
    px: NDArray[np.float64], py: NDArray[np.float64], pz: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    pt = np.hypot(px, py)
    return pt, np.arcsinh(pz / np.maximum(pt, 1e-9)), np.arctan2(py, px)
