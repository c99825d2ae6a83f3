"""The layout of the HLS4ML LHC jet set, 150 particles: a folder of `jetImage_<k>_150p_<a>_<b>.h5`, 10,000 jets each.

As published: `jetConstituentList` [jets, 150, 16] and `jets` [jets, 59], float64, and the names of their columns.
Constituents are sorted by falling pt; those beyond 150, and those without pt, are left out and counted. Zero, since
jets as we have them don't hold them: the columns of `jets` other than `FILLED`. The three sets of images are not written.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from jetformer_data.errors import DataError
from jetformer_data.features import FEATURE_SETS
from jetformer_data.jets import offsets_of
from jetformer_data.layouts.writing import LayoutWriter, classes_in
from jetformer_data.raw import RawJets
from jetformer_data.sources.hls4ml import CLASSES, CONSTITUENTS, PARTICLE_NAMES

MOST = 150
JETS_A_FILE = 10_000
FILES_A_SERIES = 10  # a and b start again at 0 with each k
_BLOCK_JETS = 1_000


def _substructure(suffix: str) -> tuple[str, ...]:
    words = "c1_b0 c1_b1 c1_b2 c2_b1 c2_b2 d2_b1 d2_b2 d2_a1_b1 d2_a1_b2 m2_b1 m2_b2 n2_b1 n2_b2"
    return tuple(f"j_{word}{suffix}" for word in words.split())


def _subjettiness(suffix: str) -> tuple[str, ...]:
    words = "tau1_b1 tau2_b1 tau3_b1 tau1_b2 tau2_b2 tau3_b2 tau32_b1 tau32_b2"
    return tuple(f"j_{word}{suffix}" for word in words.split())


JET_NAMES = (
    *("j_ptfrac", "j_pt", "j_eta", "j_mass", *_subjettiness(""), "j_zlogz", *_substructure("")),
    *(*_subjettiness("_mmdt"), *_substructure("_mmdt")),
    *("j_mass_trim", "j_mass_mmdt", "j_mass_prun", "j_mass_sdb2", "j_mass_sdm1", "j_multiplicity"),
    *(*CLASSES, "j_undef"),
)
# The file's -> ours.
FILLED = {"j_pt": "jet_pt", "j_eta": "jet_eta", "j_mass": "jet_mass", "j_mass_mmdt": "jet_sdmass"}
_OPTIONAL = ("jet_sdmass",)
_TOO_MANY = f"constituents beyond {MOST}"
_NO_PT = "constituents without pt"


class Hls4mlWriter(LayoutWriter):
    """A folder of HDF5 files."""

    def __init__(self, target: Path) -> None:
        super().__init__(target)
        target.mkdir()
        self._file: Any = None
        self._room = 0

    def append(self, raw: RawJets) -> None:
        self.absent = tuple(
            name
            for name in JET_NAMES
            if name not in (*CLASSES, "j_undef", "j_multiplicity")
            and not (name in FILLED and raw.has(FILLED[name]))
        )
        for start in range(0, len(raw), _BLOCK_JETS):
            block = self._with_pt(raw.select(np.arange(start, min(start + _BLOCK_JETS, len(raw)))))
            self._append(self._constituents(block), _of_jets(block))

    def close(self) -> None:
        if self._file is None:
            return
        length = len(self._file["jets"])
        self._file.close()
        self._file = None
        number = (self.jets - 1) // JETS_A_FILE
        first = number % FILES_A_SERIES * JETS_A_FILE
        name = f"jetImage_{number // FILES_A_SERIES}_150p_{first}_{first + length}.h5"
        (self.target / "open.h5").rename(self.target / name)

    def _append(self, constituents: NDArray[np.float64], jets: NDArray[np.float64]) -> None:
        while len(jets):
            if not self._room:
                self.close()
                self._start()
            count = min(self._room, len(jets))
            for name, rows in ((CONSTITUENTS, constituents), ("jets", jets)):
                dataset = self._file[name]
                dataset.resize(len(dataset) + count, axis=0)
                dataset[-count:] = rows[:count]
            constituents, jets = constituents[count:], jets[count:]
            self._room -= count
            self.jets += count

    def _start(self) -> None:
        self._file, self._room = h5py.File(self.target / "open.h5", "w"), JETS_A_FILE
        for name, shape in ((CONSTITUENTS, (MOST, len(PARTICLE_NAMES) - 1)), ("jets", (len(JET_NAMES),))):
            self._file.create_dataset(
                name,
                (0, *shape),
                np.float64,
                maxshape=(None, *shape),
                chunks=(100, *shape),
                compression="gzip",
                compression_opts=1,
                shuffle=True,
            )
        self._file["particleFeatureNames"] = np.array(PARTICLE_NAMES, dtype=np.bytes_)
        self._file["jetFeatureNames"] = np.array(JET_NAMES, dtype=np.bytes_)

    def _with_pt(self, raw: RawJets) -> RawJets:
        """Without constituents that have no pt, which a reader would take for padding; jets keep their quantities."""
        is_real = raw.column("pt") != 0
        self.dropped[_NO_PT] += int((~is_real).sum())
        if is_real.all():
            return raw
        of_jet = ("jet_pt", "jet_eta", "jet_phi", "jet_energy", "jet_mass")
        return RawJets(
            {name: values[is_real] for name, values in raw.constituents.items()},
            offsets_of(is_real)[raw.offsets],
            raw.labels,
            raw.class_names,
            {**raw.jets, **{name: raw.column(name) for name in of_jet if raw.has(name)}},
            raw.where,
        )

    def _constituents(self, raw: RawJets) -> NDArray[np.float64]:
        """Padded `[jets, 150, 16]`."""
        features = FEATURE_SETS["hls4ml-16"].features
        with np.errstate(all="ignore"):  # what is not finite is refused below
            rows = np.stack([feature.values(raw) for feature in features], axis=1)
        if not np.isfinite(rows).all():
            row, column = (int(i[0]) for i in np.nonzero(~np.isfinite(rows)))
            raise DataError(
                f"{raw.where}: '{features[column].name}' comes to {rows[row, column]} in the jet at place "
                f"{raw.jet_of[row]}"
            )
        pt, jet = rows[:, PARTICLE_NAMES.index("j1_pt")], raw.jet_of
        order = np.lexsort((-pt, jet))
        place = np.arange(len(order)) - raw.offsets[:-1][jet]
        self.dropped[_TOO_MANY] += int((place >= MOST).sum())
        kept = place < MOST
        padded = np.zeros((len(raw), MOST, len(features)))
        padded[jet[kept], place[kept]] = rows[order[kept]]
        return padded


def _of_jets(raw: RawJets) -> NDArray[np.float64]:
    """`[jets, 59]`."""
    jets = np.zeros((len(raw), len(JET_NAMES)))
    for name, ours in FILLED.items():
        if ours not in _OPTIONAL or raw.has(ours):
            jets[:, JET_NAMES.index(name)] = raw.column(ours)
    jets[:, JET_NAMES.index("j_multiplicity")] = np.diff(raw.offsets)
    number = np.array(classes_in(raw, {name: k for k, name in enumerate(CLASSES.values())}, "hls4ml"))
    jets[np.arange(len(raw)), JET_NAMES.index("j_g") + number[raw.labels]] = 1
    return jets
