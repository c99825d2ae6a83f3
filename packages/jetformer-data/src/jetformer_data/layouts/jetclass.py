"""The layout of JetClass: a ROOT file whose tree `tree` has one entry a jet, with its branches and their types.

Two things differ from the published files. Lists of constituents are arrays with the counter `npart`, not
`std::vector`s, which uproot cannot write: uproot, RDataFrame and TTree::Draw read both in the same way. And `aux_*`, which
tell the truth about the partons, are 0, as are columns that the jets don't have (`Written.absent`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jetformer_data.errors import DataError
from jetformer_data.extras import require
from jetformer_data.layouts.writing import LayoutWriter, classes_in
from jetformer_data.raw import RawJets
from jetformer_data.sources.jetclass import CLASSES, LABELS, OPTIONAL, REQUIRED, TREE

_INTEGERS = ("is_charged_hadron", "is_neutral_hadron", "is_photon", "is_electron", "is_muon")
_ALWAYS = (*REQUIRED, "etarel", "phirel")
# Ours -> type of the branch; the prefix `part_` comes from the record that the lists are written as.
CONSTITUENTS = {
    name: (branch.removeprefix("part_"), np.dtype(np.int32 if name in _INTEGERS else np.float32))
    for name, branch in {**REQUIRED, **OPTIONAL}.items()
}
LABEL_TYPES = {
    name: np.dtype(kind)
    for name, kind in zip(LABELS, [np.float32, *[np.bool_] * 5, *[np.int32] * 4], strict=True)
}
JETS = (
    *("jet_pt", "jet_eta", "jet_phi", "jet_energy", "jet_nparticles", "jet_sdmass"),
    *("jet_tau1", "jet_tau2", "jet_tau3", "jet_tau4"),
)
TRUTH = ("aux_genpart_eta", "aux_genpart_phi", "aux_genpart_pid", "aux_genpart_pt", "aux_truth_match")
_OPTIONAL_JETS = ("jet_sdmass", "jet_tau1", "jet_tau2", "jet_tau3", "jet_tau4")
_BASKET_JETS = 20_000


class JetClassWriter(LayoutWriter):
    """One ROOT file."""

    def __init__(self, target: Path) -> None:
        super().__init__(target)
        self._uproot, self._awkward = require("uproot", "root"), require("awkward", "root")
        self._file = self._uproot.recreate(target, compression=self._uproot.LZ4(1))
        types = {name: f"{kind}" for name, kind in CONSTITUENTS.values()}
        record = ", ".join(f"{name}: {kind}" for name, kind in types.items())
        self._file.mktree(
            TREE,
            {
                "part": self._awkward.types.from_datashape(f"var * {{{record}}}", highlevel=False),
                **LABEL_TYPES,
                **dict.fromkeys((*JETS, *TRUTH), np.dtype(np.float32)),
            },
            counter_name=lambda name: f"n{name}",
        )

    def append(self, raw: RawJets) -> None:
        absent = [name for name in (*OPTIONAL, *_OPTIONAL_JETS) if not raw.has(name) and name not in _ALWAYS]
        self.absent = (*(OPTIONAL.get(name, name) for name in absent), *TRUTH)
        for start in range(0, len(raw), _BASKET_JETS):
            block = raw.select(np.arange(start, min(start + _BASKET_JETS, len(raw))))
            self._file[TREE].extend(self._branches(block, absent))
            self.jets += len(block)

    def close(self) -> None:
        self._file.close()

    def _branches(self, raw: RawJets, absent: list[str]) -> dict[str, Any]:
        sign = np.where(raw.column("jet_eta") < 0, -1.0, 1.0)[raw.jet_of]

        def column(name: str, kind: np.dtype[Any]) -> NDArray[Any]:
            if name in absent:
                return np.zeros(int(raw.offsets[-1]), kind)
            values = raw.column(name)
            return _cast(values * sign if name == "etarel" else values, kind, name, raw)

        ak = self._awkward
        flat = {name: column(ours, kind) for ours, (name, kind) in CONSTITUENTS.items()}
        record = ak.contents.RecordArray(
            [ak.contents.NumpyArray(values) for values in flat.values()], list(flat)
        )
        lists = ak.Array(ak.contents.ListOffsetArray(ak.index.Index64(raw.offsets), record))
        number = np.array(classes_in(raw, {name: k for k, name in enumerate(CLASSES)}, "jetclass"))[
            raw.labels
        ]
        branches: dict[str, Any] = {"part": lists}
        for k, (name, kind) in enumerate(LABEL_TYPES.items()):
            branches[name] = (number == k).astype(kind)
        for name in (*JETS, *TRUTH):
            values = np.zeros(len(raw)) if name in (*absent, *TRUTH) else _jet_column(raw, name)
            branches[name] = _cast(values, np.dtype(np.float32), name, raw, is_jet=True)
        return branches


def _jet_column(raw: RawJets, name: str) -> NDArray[np.float64]:
    return np.diff(raw.offsets).astype(np.float64) if name == "jet_nparticles" else raw.column(name)


def _cast(
    values: NDArray[Any], kind: np.dtype[Any], name: str, raw: RawJets, is_jet: bool = False
) -> NDArray[Any]:
    with np.errstate(over="ignore"):
        cast = values.astype(kind)
    if not np.isfinite(cast).all():
        row = int(np.argmin(np.isfinite(cast)))
        jet = row if is_jet else raw.jet_of[row]
        raise DataError(f"{raw.where}: '{name}' comes to {values[row]} in the jet at place {jet}")
    return cast
