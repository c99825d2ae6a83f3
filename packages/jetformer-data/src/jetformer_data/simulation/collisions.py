"""Proton collisions by Pythia 8, in batches of flat arrays."""

from __future__ import annotations

import os
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jetformer_data.errors import DataError
from jetformer_data.extras import require
from jetformer_data.particles import Particles, near_partons
from jetformer_data.simulation.decays import last_copies, prong_rows
from jetformer_data.simulation.hooks import make_hooks
from jetformer_data.simulation.processes import Style, pythia_settings

__all__ = ["Collisions", "Particles", "import_pythia", "near_partons"]


class Collisions:
    """A Pythia run of one class: `next(events)` gives the stable particles of that many events that pass the veto."""

    def __init__(self, style: Style, class_name: str, seed: int) -> None:
        pythia8 = import_pythia()
        self.process = style.processes[class_name]
        self.with_vertices = style.detector.needs_vertices
        self.pythia = pythia8.Pythia("", False)
        for setting in pythia_settings(style, class_name, seed):
            if not self.pythia.readString(setting):
                raise DataError(f"Pythia does not accept the setting '{setting}'")
        # Pythia itself does not keep the hooks alive.
        self.hooks = make_hooks(style, self.process)
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
        stable = np.flatnonzero(columns["status"] > 0)
        pt, eta, phi = _cylindrical(*(p[stable] for p in momenta[:3]))
        hard = last_copies(columns["daughter1"], columns["daughter2"], offsets)
        # A hard particle that makes no jets of the class is nowhere: nothing lies near it, no jet matches it.
        is_parent = np.isin(np.abs(columns["id"][hard]), self.process.parents)
        partons = _directions(momenta, np.where(is_parent, hard, -1))
        prongs = None
        if self.process.prongs:
            family = [columns[name] for name in ("id", "daughter1", "daughter2")]
            rows = prong_rows(family[0], family[1], family[2], offsets, hard, self.process.prongs)
            prongs = _directions(momenta, np.where(is_parent[..., None], rows, -1))
        vertex = None
        if self.with_vertices:
            vertex = _vertices(content["vProd"], stable)
        event = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))[stable]
        ids = columns["id"][stable].astype(np.int64)
        return Particles(event, ids, pt, eta, phi, momenta[3][stable], partons, prongs, vertex)


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


def _cylindrical(
    px: NDArray[np.float64], py: NDArray[np.float64], pz: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    pt = np.hypot(px, py)
    return pt, np.arcsinh(pz / np.maximum(pt, 1e-9)), np.arctan2(py, px)


def _directions(momenta: list[NDArray[np.float64]], rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """eta and phi `[..., 2]` of the particles in these rows, NaN where a row is -1."""
    _, eta, phi = _cylindrical(*(p[rows] for p in momenta[:3]))
    return np.where((rows < 0)[..., None], np.nan, np.stack([eta, phi], axis=-1))


def _vertices(place: Any, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Where the particles in these rows were made, `[rows, 3]` in mm: the origin for those without a vertex."""
    # An option array: positions in a shorter record array, -1 where there is none.
    index = np.asarray(place.index.data)[rows]
    # Momentum is the only four-vector that the binding knows: px, py and pz are x, y and z.
    stored = [np.append(np.asarray(place.content[name].data), 0.0) for name in ("px", "py", "pz")]
    return np.stack([axis[index] for axis in stored], axis=1)
