"""JetClass (doi:10.5281/zenodo.6619768): ROOT files with one entry a jet in the tree `tree`.

Files of the programs that made JetClass-II have the same lists and one `jet_label` instead of ten one-hot labels.
Lists of constituents may be `std::vector`s, as published, or arrays with a counter, as other tools write them.
`part_deta` is eta relative to the jet times the sign of the jet's eta; `etarel` of what is read is without that sign.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jetformer_data.errors import SourceError
from jetformer_data.raw import RawJets, concatenate
from jetformer_data.sources.jetclass2_classes import CLASSES as CLASSES_2
from jetformer_data.sources.labels import class_numbers, one_hot
from jetformer_data.sources.ragged import Lists, same_offsets
from jetformer_data.sources.source import Source
from jetformer_data.sources.survey import Survey, open_root

TREE = "tree"
CLASSES = ("QCD", "Hbb", "Hcc", "Hgg", "H4q", "Hqql", "Zqq", "Wqq", "Tbqq", "Tbl")
REQUIRED = {"px": "part_px", "py": "part_py", "pz": "part_pz", "energy": "part_energy"}
OPTIONAL = {
    "etarel": "part_deta",
    "phirel": "part_dphi",
    "charge": "part_charge",
    "is_charged_hadron": "part_isChargedHadron",
    "is_neutral_hadron": "part_isNeutralHadron",
    "is_photon": "part_isPhoton",
    "is_electron": "part_isElectron",
    "is_muon": "part_isMuon",
    "d0": "part_d0val",
    "d0_error": "part_d0err",
    "dz": "part_dzval",
    "dz_error": "part_dzerr",
}
LABELS = tuple(f"label_{name}" for name in CLASSES)
LABEL_2 = "jet_label"
JET_COLUMNS = (
    *("jet_pt", "jet_eta", "jet_phi", "jet_energy", "jet_sdmass"),
    *("jet_tau1", "jet_tau2", "jet_tau3", "jet_tau4"),
)


# Jets between places where baskets of all branches end together, that are kept once they were decompressed.
_MOST_BLOCK_JETS = 50_000


class JetClassSource(Source):
    """ROOT files of JetClass; all of `REQUIRED` and of the labels must be there."""

    format = "jetclass"
    containers = ("ROOT",)

    @classmethod
    def fits(cls, survey: Survey) -> bool:
        return TREE in survey.names and any(f"{TREE}/{name}" in survey.names for name in REQUIRED.values())

    def _open(self) -> Any:
        return open_root(self.path)

    def _describe(self, file: Any) -> int:
        tree = file[TREE]
        branches = set(tree.keys(recursive=False))
        self._is_2 = LABEL_2 in branches and not branches & set(LABELS)
        self.class_names = CLASSES_2 if self._is_2 else CLASSES
        for name in (*REQUIRED.values(), *(() if self._is_2 else LABELS)):
            if name not in branches:
                raise SourceError(f"{self.path}: column '{name}' is missing from the tree '{TREE}'")
        self.names = REQUIRED | {ours: name for ours, name in OPTIONAL.items() if name in branches}
        self._jet_columns = [name for name in JET_COLUMNS if name in branches]
        jets = int(tree.num_entries)
        wanted = [*self.names.values(), *self._jet_columns]
        borders = tree.common_entry_offsets(filter_name=lambda name: name in wanted)
        self._borders = np.unique(np.clip([0, *borders, jets], 0, jets))
        self._cached: tuple[tuple[int, int], RawJets] | None = None
        return jets

    def _read(self, file: Any, start: int, stop: int) -> RawJets:
        parts = []
        for first, last in self._blocks(start, stop):
            block = self._cached_block(file, first, last)
            low, high = max(start, first), min(stop, last)
            parts.append(block.slice(low - first, high - first))
        whole = parts[0] if len(parts) == 1 else concatenate(parts)
        return replace(whole, where=self._where(start, stop))

    def _blocks(self, start: int, stop: int) -> list[tuple[int, int]]:
        """Borders of the blocks that a range of jets lies in; at least one."""
        first = max(0, int(np.searchsorted(self._borders, start, side="right")) - 1)
        last = max(first + 1, int(np.searchsorted(self._borders, stop, side="left")))
        inner = self._borders[first + 1 : last]
        edges = [self._borders[first], *inner, self._borders[min(last, len(self._borders) - 1)]]
        blocks = [(int(a), int(b)) for a, b in pairwise(edges)]
        # Where no baskets end together, not the whole file is read for a few jets.
        return blocks if max(b - a for a, b in blocks) <= _MOST_BLOCK_JETS else [(start, stop)]

    def _cached_block(self, file: Any, first: int, last: int) -> RawJets:
        # Baskets are decompressed as a whole, and chunks of jets may be much smaller.
        if self._cached is None or self._cached[0] != (first, last):
            self._cached = None
            block = self._block(file, first, last)
            for values in (*block.constituents.values(), *block.jets.values(), block.labels):
                values.flags.writeable = False  # others get views of it
            self._cached = ((first, last), block)
        return self._cached[1]

    def _block(self, file: Any, start: int, stop: int) -> RawJets:
        tree = file[TREE]
        lists = {ours: self._lists(tree, name, start, stop) for ours, name in self.names.items()}
        offsets = same_offsets(lists, str(self.path), start, self.names)
        labels = self._read_labels(tree, start, stop)
        jets = {name: self._numbers(tree, name, start, stop) for name in self._jet_columns}
        constituents = {name: values for name, (_, values) in lists.items()}
        unsign_deta(constituents, jets, offsets)
        return RawJets(constituents, offsets, labels, self.class_names, jets, self._where(start, stop))

    def _read_labels(self, tree: Any, start: int, stop: int) -> NDArray[np.int64]:
        if self._is_2:
            numbers = self._numbers(tree, LABEL_2, start, stop)
            return class_numbers(numbers, LABEL_2, str(self.path), start)
        columns = [self._numbers(tree, name, start, stop) for name in LABELS]
        return one_hot(columns, LABELS, str(self.path), start)

    def _lists(self, tree: Any, name: str, start: int, stop: int) -> Lists:
        array = tree[name].array(library="ak", entry_start=start, entry_stop=stop).layout
        if not array.is_list or not array.content.is_numpy:
            raise SourceError(
                f"{self.path}: column '{name}': holds {tree[name].typename}, expected a list of numbers"
            )
        array = array.to_ListOffsetArray64(True)
        offsets = np.asarray(array.offsets, np.int64)
        return offsets, np.asarray(array.content.data)[: offsets[-1]]

    def _numbers(self, tree: Any, name: str, start: int, stop: int) -> NDArray[Any]:
        values = tree[name].array(library="np", entry_start=start, entry_stop=stop)
        if values.shape != (stop - start,) or values.dtype.kind not in "fiub":
            raise SourceError(
                f"{self.path}: column '{name}': holds {tree[name].typename}, expected a number a jet"
            )
        return np.asarray(values)


def unsign_deta(
    constituents: dict[str, NDArray[Any]], jets: Mapping[str, NDArray[Any]], offsets: NDArray[np.int64]
) -> None:
    """Take the sign of the jet's eta out of `etarel`, or the column where the sign is unknown; exact."""
    if "etarel" not in constituents:
        return
    if "jet_eta" not in jets:
        del constituents["etarel"]
        return
    sign = np.where(jets["jet_eta"] < 0, -1, 1).astype(constituents["etarel"].dtype)
    constituents["etarel"] = constituents["etarel"] * np.repeat(sign, np.diff(offsets))
