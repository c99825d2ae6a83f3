"""The HLS4ML LHC jet set, 150 particles (doi:10.5281/zenodo.3602260): HDF5, padded with zeros.

`jetConstituentList` `[jets, 150, 16]` and `jets` `[jets, 59]`, both float64, with the names of their columns in
`particleFeatureNames` (17: the last has no column) and `jetFeatureNames`. The file's own `etarel`, `erel`, ... are kept
under their names.
"""

from __future__ import annotations

from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from jetformer_data.errors import SourceError
from jetformer_data.raw import RawJets
from jetformer_data.sources.labels import one_hot
from jetformer_data.sources.names import canonical
from jetformer_data.sources.ragged import without_padding
from jetformer_data.sources.source import Source
from jetformer_data.sources.survey import Survey

CONSTITUENTS = "jetConstituentList"
PARTICLE_NAMES = (
    *("j1_px", "j1_py", "j1_pz", "j1_e", "j1_erel", "j1_pt", "j1_ptrel", "j1_eta", "j1_etarel", "j1_etarot"),
    *("j1_phi", "j1_phirel", "j1_phirot", "j1_deltaR", "j1_costheta", "j1_costhetarel", "j1_pdgid"),
)
CLASSES = {"j_g": "g", "j_q": "q", "j_w": "W", "j_z": "Z", "j_t": "t"}
# Ours -> the file's. The file's N-subjettiness is not divided by pt, so that it is not `jet_tau1`; its mass after the
# modified mass drop is the soft-drop mass with beta 0.
JET_COLUMNS = {"jet_pt": "j_pt", "jet_eta": "j_eta", "jet_mass": "j_mass", "jet_sdmass": "j_mass_mmdt"}
# A block of 1,000 padded jets takes 19 MB, of which a third are constituents.
_BLOCK_JETS = 1_000
# Bytes: HDF5 decompresses a chunk again and again where its own cache of 1 MiB is smaller than a row of chunks.
_CACHE = 64 << 20


class Hls4mlSource(Source):
    """Files `jetImage_*_150p_*.h5`; padding is removed, and zeros within a jet too."""

    format = "hls4ml"
    containers = ("HDF5",)

    @classmethod
    def fits(cls, survey: Survey) -> bool:
        return CONSTITUENTS in survey.names

    def _open(self) -> Any:
        return h5py.File(self.path, "r", rdcc_nbytes=_CACHE)

    def _describe(self, file: Any) -> int:
        padded, jets = self._dataset(file, CONSTITUENTS, 3), self._dataset(file, "jets", 2)
        if len(padded) != len(jets):
            raise SourceError(
                f"{self.path}: '{CONSTITUENTS}' has {len(padded)} jets, but 'jets' has {len(jets)}"
            )
        particle_names = self._names(file, "particleFeatureNames") or PARTICLE_NAMES
        jet_names = self._names(file, "jetFeatureNames")
        # One name more than columns in the published files.
        self._columns = {column_name(name): k for k, name in enumerate(particle_names[: padded.shape[2]])}
        self.names = {column_name(name): name for name in particle_names} | JET_COLUMNS
        for name in ("px", "py", "pz", "energy", "pt"):
            if name not in self._columns:
                raise SourceError(
                    f"{self.path}: '{CONSTITUENTS}' has no column for '{self.names.get(name, name)}'"
                )
        self.class_names = tuple(CLASSES.values())
        self._label_columns = self._find_labels(jet_names, jets.shape[1])
        self._jet_columns = {
            ours: jet_names.index(name) for ours, name in JET_COLUMNS.items() if name in jet_names
        }
        return len(padded)

    def _read(self, file: Any, start: int, stop: int) -> RawJets:
        jets = self._numbers(file["jets"][start:stop])
        labels = one_hot([jets[:, k] for k in self._label_columns], list(CLASSES), str(self.path), start)
        blocks = [
            self._block(file, begin, min(begin + _BLOCK_JETS, stop))
            for begin in range(start, stop, _BLOCK_JETS)
        ]
        rows = np.concatenate([rows for rows, _ in blocks]) if blocks else np.empty((0, len(self._columns)))
        counts = [np.diff(offsets) for _, offsets in blocks]
        offsets = np.concatenate([[0], np.cumsum(np.concatenate(counts) if counts else [])]).astype(np.int64)
        return RawJets(
            {name: np.ascontiguousarray(rows[:, k]) for name, k in self._columns.items()},
            offsets,
            labels,
            self.class_names,
            {name: np.ascontiguousarray(jets[:, k]) for name, k in self._jet_columns.items()},
            self._where(start, stop),
        )

    def _block(self, file: Any, start: int, stop: int) -> tuple[NDArray[Any], NDArray[np.int64]]:
        padded = self._numbers(file[CONSTITUENTS][start:stop])
        is_real = padded[:, :, self._columns["pt"]] != 0
        has_more = ~is_real & (padded != 0).any(axis=2)
        if has_more.any():
            jet = int(np.argmax(has_more.any(axis=1)))
            raise SourceError(
                f"{self.path}: jet {start + jet}, column '{self.names['pt']}': is 0 where other columns are not"
            )
        offsets, rows = without_padding(is_real)
        return padded.reshape(-1, padded.shape[2])[rows], offsets

    def _find_labels(self, names: list[str], columns: int) -> list[int]:
        if len(names) == columns:
            missing = [name for name in CLASSES if name not in names]
            if missing:
                raise SourceError(f"{self.path}: column '{missing[0]}' is missing from 'jets'")
            return [names.index(name) for name in CLASSES]
        if names:
            raise SourceError(
                f"{self.path}: 'jetFeatureNames' has {len(names)} names for {columns} columns of 'jets'"
            )
        if columns <= len(CLASSES):
            raise SourceError(f"{self.path}: 'jets' has {columns} columns and no names: labels are not found")
        return list(range(columns - 6, columns - 1))  # as published; j_undef is last

    def _dataset(self, file: Any, name: str, axes: int) -> Any:
        dataset = file.get(name)
        if not isinstance(dataset, h5py.Dataset):
            raise SourceError(f"{self.path}: dataset '{name}' is missing")
        if len(dataset.shape) != axes or dataset.dtype.kind not in "fiu":
            raise SourceError(
                f"{self.path}: '{name}' holds {dataset.dtype} {list(dataset.shape)}, expected numbers on {axes} axes"
            )
        return dataset

    def _names(self, file: Any, name: str) -> list[str]:
        if name not in file:
            return []
        return [n.decode() if isinstance(n, bytes) else str(n) for n in np.ravel(file[name][()])]

    def _numbers(self, values: NDArray[Any]) -> NDArray[Any]:
        # As the file has them, but in the machine's own order of bytes.
        return np.asarray(values, values.dtype.newbyteorder("="))


def column_name(name: str) -> str:
    """`j1_px` is our `px`; what only this set has keeps its name, without the prefix."""
    return canonical(name) or name.removeprefix("j1_")
