"""For tests: a small synthetic set of jets, and the contract tests of the array schema.

A program that writes jets inherits `WriterContract`; one that reads them inherits `ReaderContract`; a reader of another
layout, `SourceContract`.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from jetformer_data import schema
from jetformer_data.jets import JET_UNITS, UNITS, Jets, offsets_of
from jetformer_data.kinematics import jet_axis_features
from jetformer_data.testing.source_contract import ListContract, OffsetContract, SourceContract

__all__ = [
    "CLASS_NAMES",
    "ListContract",
    "OffsetContract",
    "ReaderContract",
    "SourceContract",
    "WriterContract",
    "example_jets",
]

CLASS_NAMES = ("g", "q", "W", "Z", "t")
# A caricature of the five classes: mean multiplicity, number of prongs, their distance from the axis, their width.
_CARICATURE = {
    "g": (60, 1, 0.0, 0.10),
    "q": (35, 1, 0.0, 0.03),
    "W": (38, 2, 0.08, 0.01),
    "Z": (40, 2, 0.14, 0.01),
    "t": (55, 3, 0.20, 0.03),
}


def example_jets(jets: int = 200, seed: int = 1, empty: int = 0) -> Jets:
    """A valid set of `jets` made-up jets in five classes that a small network tells apart; not physics.

    The first `empty` jets have no constituents. Features are pt (GeV), etarel, phirel (rad).
    """
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(jets, dtype=np.int64) % len(CLASS_NAMES))
    mean, prongs, radius, width = (np.array(row)[labels] for row in zip(*_CARICATURE.values(), strict=True))
    counts = np.maximum(rng.poisson(mean), 3)
    counts[:empty] = 0
    offsets, jet = offsets_of(counts), np.repeat(np.arange(jets), counts)
    angle = 2 * np.pi * (rng.integers(prongs[jet]) / prongs[jet] + rng.random(jets)[jet])
    spread = rng.normal(scale=width[jet], size=(2, len(jet)))
    etarel, phirel = radius[jet] * np.stack([np.cos(angle), np.sin(angle)]) + spread
    share = rng.exponential(size=len(jet)) ** 2
    pt = share / np.bincount(jet, share, minlength=jets)[jet] * rng.normal(1000, 25, size=jets)[jet]
    order = np.lexsort((-pt, jet))
    constituents = np.stack([pt, etarel, phirel], axis=1)[order].astype(np.float32)
    return Jets(
        constituents=constituents,
        offsets=offsets,
        labels=labels,
        feature_names=tuple(UNITS),
        feature_units=tuple(UNITS.values()),
        class_names=CLASS_NAMES,
        jet_features=jet_axis_features(
            constituents, offsets, rng.uniform(-1, 1, jets), rng.uniform(-np.pi, np.pi, jets)
        ),
        jet_feature_names=tuple(JET_UNITS),
        jet_feature_units=tuple(JET_UNITS.values()),
        provenance={"program": "jetformer_data.testing.example_jets", "seed": seed},
    )


class WriterContract:
    """Tests of a program that writes jets: inherit and define `write_jets(path)`."""

    def write_jets(self, path: Path) -> None:
        """Write some jets, 2 or more, to `path`."""
        raise NotImplementedError

    def test_file_follows_the_schema(self, tmp_path: Path) -> None:
        self.write_jets(tmp_path / "jets.h5")
        schema.check(tmp_path / "jets.h5")

    def test_nothing_else_is_left_behind(self, tmp_path: Path) -> None:
        self.write_jets(tmp_path / "jets.h5")
        assert [path.name for path in tmp_path.iterdir()] == ["jets.h5"]

    def test_a_part_equals_the_same_part_of_the_whole(self, tmp_path: Path) -> None:
        self.write_jets(tmp_path / "jets.h5")
        whole, part = schema.read(tmp_path / "jets.h5"), schema.read(tmp_path / "jets.h5", 1, 2)
        np.testing.assert_array_equal(
            part.constituents, whole.constituents[whole.offsets[1] : whole.offsets[2]]
        )
        np.testing.assert_array_equal(part.labels, whole.labels[1:2])

    def test_provenance_names_the_program(self, tmp_path: Path) -> None:
        self.write_jets(tmp_path / "jets.h5")
        assert "program" in schema.read(tmp_path / "jets.h5", 0, 1).provenance

    def test_nothing_is_pickled(self, tmp_path: Path) -> None:
        self.write_jets(tmp_path / "jets.h5")
        with h5py.File(tmp_path / "jets.h5") as file:
            assert all(file[name].dtype.kind in "fi" for name in file)


class ReaderContract:
    """Tests of a program that reads jets: inherit and define `use_jets(path)` and `expected_error`."""

    expected_error: type[BaseException] = schema.SchemaError

    def use_jets(self, path: Path) -> Any:
        """Do the program's work on the file and return a result that NumPy can compare; the same each time."""
        raise NotImplementedError

    def test_features_are_found_by_name(self, tmp_path: Path) -> None:
        jets = example_jets(60, seed=2)
        schema.write(tmp_path / "jets.h5", jets)
        order = [2, 0, 1]
        extra = np.full((len(jets.constituents), 1), 7, np.float32)
        shuffled = replace(
            jets,
            constituents=np.concatenate([extra, jets.constituents[:, order]], axis=1),
            feature_names=("charge", *(jets.feature_names[i] for i in order)),
            feature_units=("e", *(jets.feature_units[i] for i in order)),
        )
        schema.write(tmp_path / "shuffled.h5", shuffled)
        expected = self.use_jets(tmp_path / "jets.h5")
        np.testing.assert_array_equal(self.use_jets(tmp_path / "shuffled.h5"), expected)

    def test_jets_without_constituents_are_accepted(self, tmp_path: Path) -> None:
        schema.write(tmp_path / "jets.h5", example_jets(60, seed=3, empty=5))
        self.use_jets(tmp_path / "jets.h5")

    def test_groups_are_accepted_and_decide_the_split(self, tmp_path: Path) -> None:
        jets = example_jets(60, seed=6)
        schema.write(tmp_path / "jets.h5", jets)
        expected = self.use_jets(tmp_path / "jets.h5")
        # a group that is the jet's position decides what the position alone decides
        schema.write(tmp_path / "alone.h5", replace(jets, groups=np.arange(60)))
        np.testing.assert_array_equal(self.use_jets(tmp_path / "alone.h5"), expected)
        schema.write(tmp_path / "pairs.h5", replace(jets, groups=np.arange(60) // 2))
        self.use_jets(tmp_path / "pairs.h5")

    def test_a_newer_minor_version_is_accepted(self, tmp_path: Path) -> None:
        self.use_jets(self._with_version(tmp_path, "1.7"))

    def test_an_unknown_major_version_is_refused(self, tmp_path: Path) -> None:
        self._refuses(self._with_version(tmp_path, "2.0"), "2.0")

    def test_a_truncated_file_is_refused(self, tmp_path: Path) -> None:
        schema.write(tmp_path / "jets.h5", example_jets(60, seed=4))
        content = (tmp_path / "jets.h5").read_bytes()
        (tmp_path / "jets.h5").write_bytes(content[: len(content) // 2])
        self._refuses(tmp_path / "jets.h5", "truncated")

    def test_a_missing_file_is_refused(self, tmp_path: Path) -> None:
        self._refuses(tmp_path / "absent.h5", "no such file")

    def _refuses(self, path: Path, reason: str) -> None:
        message = None
        try:
            self.use_jets(path)
        except self.expected_error as error:
            message = str(error)
        assert message is not None, f"{path.name} was accepted"
        assert path.name in message
        assert reason in message

    @staticmethod
    def _with_version(folder: Path, version: str) -> Path:
        schema.write(folder / "jets.h5", example_jets(60, seed=5))
        with h5py.File(folder / "jets.h5", "r+") as file:
            file.attrs["schema_version"] = version
        return folder / "jets.h5"
