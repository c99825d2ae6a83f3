"""For tests: what every reader of jets must do. A new reader inherits all of it by naming itself.

class TestMine(SourceContract):
    kind = "mine"      # a row of `source_examples.WRITERS`
"""

from __future__ import annotations

import multiprocessing
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from jetformer_data.errors import DataError
from jetformer_data.raw import RawJets
from jetformer_data.sources import open_source
from jetformer_data.testing.source_examples import FOUR, ONE_HOT, WRITERS, Example, equals, example

JET, ROW = 7, 1  # where faults are planted: jet 7, its second constituent


class SourceContract:
    """The battery. `kind` names a writer of small files; override `write` instead for a layout of your own."""

    kind: ClassVar[str]

    def write(self, path: Path, jets: Example) -> None:
        WRITERS[self.kind][2](path, jets)

    @property
    def format(self) -> str:
        return WRITERS[self.kind][0]

    def test_is_recognised_by_its_content(self, tmp_path: Path) -> None:
        self.write(tmp_path / "jets.unnamed", example())
        with open_source(tmp_path / "jets.unnamed") as source:
            assert source.format == self.format
            assert len(source) == 30

    def test_every_value_comes_back_in_every_bit(self, tmp_path: Path) -> None:
        raw = self._read(tmp_path, example())
        assert equals(raw, example(), self.kind)
        assert all(raw.constituents[name].dtype.isnative for name in raw.constituents)

    def test_a_range_equals_the_same_range_of_the_whole(self, tmp_path: Path) -> None:
        whole = self._read(tmp_path, example())
        with open_source(self._path(tmp_path)) as source:
            # backwards too, across the borders of whatever blocks a format has, and beyond the end
            for start, stop in ((10, 23), (0, 11), (3, 4), (11, 22), (29, 99)):
                part, same = source.read(start, stop), whole.select(np.arange(start, min(stop, 30)))
                np.testing.assert_array_equal(part.offsets, same.offsets)
                np.testing.assert_array_equal(part.labels, same.labels)
                for name in same.constituents:
                    np.testing.assert_array_equal(part.constituents[name], same.constituents[name])
                for name in same.jets:
                    np.testing.assert_array_equal(part.jets[name], same.jets[name])
            assert sum(len(chunk) for chunk in source.chunks(7)) == 30

    def test_an_empty_range_has_no_jets(self, tmp_path: Path) -> None:
        self.write(self._path(tmp_path), example())
        with open_source(self._path(tmp_path)) as source:
            for start, stop in ((5, 5), (9, 4), (30, 40)):
                assert len(source.read(start, stop)) == 0

    def test_jets_without_constituents_are_read(self, tmp_path: Path) -> None:
        jets = example(12, seed=2, empty=5)
        raw = self._read(tmp_path, jets)
        np.testing.assert_array_equal(np.diff(raw.offsets)[:5], 0)
        assert equals(raw, jets, self.kind)

    def test_jets_with_many_constituents_are_read(self, tmp_path: Path) -> None:
        jets = example(12, seed=3, most=190)
        assert np.diff(jets.offsets).max() > 100
        assert equals(self._read(tmp_path, jets), jets, self.kind)

    def test_a_missing_column_is_named(self, tmp_path: Path) -> None:
        self._refuses(tmp_path, example().without("energy"), "energy")

    def test_a_column_of_texts_is_refused(self, tmp_path: Path) -> None:
        jets = example()
        texts = np.full(len(jets.columns["energy"]), b"abc")
        self._refuses(tmp_path, jets.with_column("energy", texts))

    def test_a_truncated_file_is_refused(self, tmp_path: Path) -> None:
        path = self._path(tmp_path)
        self.write(path, example())
        content = path.read_bytes()
        for share in (0.0, 0.002, 0.1, 0.5, 0.9):
            path.write_bytes(content[: int(share * len(content))])
            self._refuses_file(path)

    def test_a_missing_file_is_refused(self, tmp_path: Path) -> None:
        self._refuses_file(tmp_path / "absent", "no such file")

    def test_values_that_are_no_numbers_are_refused(self, tmp_path: Path) -> None:
        for name in FOUR:
            for value in (np.nan, np.inf):
                self._refuses(tmp_path, _planted(name, value), f"jet {JET}", name)

    def test_a_negative_energy_is_refused(self, tmp_path: Path) -> None:
        self._refuses(tmp_path, _planted("energy", -1.0), f"jet {JET}", "energy")

    def test_an_energy_below_its_momentum_is_refused(self, tmp_path: Path) -> None:
        self._refuses(tmp_path, _planted("energy", 0.1), f"jet {JET}", "energy", "momentum")

    def test_an_impossible_momentum_is_refused(self, tmp_path: Path) -> None:
        self._refuses(tmp_path, _planted("px", 1e30), f"jet {JET}")

    def test_a_label_without_a_class_is_refused(self, tmp_path: Path) -> None:
        for jets in wrong_labels(self.kind):
            self._refuses(tmp_path, jets, f"jet {JET}", "label")

    def test_a_file_can_be_read_on_both_sides_of_a_fork(self, tmp_path: Path) -> None:
        self.write(self._path(tmp_path), example())
        with open_source(self._path(tmp_path)) as source, warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of threads, which this test has none of
            expected = source.read(0, 10)
            context = multiprocessing.get_context("fork")
            queue = context.SimpleQueue()
            child = context.Process(target=lambda: queue.put(source.read(10, 20).constituents["px"]))
            child.start()
            theirs = queue.get()
            child.join()
            np.testing.assert_array_equal(source.read(10, 20).constituents["px"], theirs)
            np.testing.assert_array_equal(source.read(0, 10).constituents["px"], expected.constituents["px"])

    def _path(self, folder: Path) -> Path:
        return folder / "jets.file"

    def _read(self, folder: Path, jets: Example) -> RawJets:
        self.write(self._path(folder), jets)
        with open_source(self._path(folder)) as source:
            return source.read()

    def _refuses(self, folder: Path, jets: Example, *says: str) -> None:
        self.write(self._path(folder), jets)
        self._refuses_file(self._path(folder), *says)

    def _refuses_file(self, path: Path, *says: str) -> None:
        message = ""
        try:
            with open_source(path) as source:
                source.read()
        except DataError as error:
            message = str(error)
        assert message, f"{path.name} was accepted"
        assert "\n" not in message
        for words in (path.name, *says):
            assert words in message, f"'{words}' is not in: {message}"


class ListContract(SourceContract):
    """For layouts in which the lists of a jet may differ in length."""

    def test_lists_of_different_lengths_are_refused(self, tmp_path: Path) -> None:
        jets = example()
        moved = jets.offsets.copy()
        moved[JET + 1] -= 1  # a constituent of jet 7 counts as one of jet 8
        wrong = replace(jets, other_offsets={"energy": moved})
        self._refuses(tmp_path, wrong, f"jet {JET}", "energy")


class OffsetContract(SourceContract):
    """For layouts with one array of offsets."""

    def test_offsets_that_fall_or_lead_beyond_the_end_are_refused(self, tmp_path: Path) -> None:
        jets = example()
        for place, by in ((0, 1), (JET, 1000), (30, 1), (30, -1)):
            offsets = jets.offsets.copy()
            offsets[place] += by
            self._refuses(tmp_path, replace(jets, offsets=offsets), "offsets")


def wrong_labels(kind: str, jet: int = JET) -> list[Example]:
    """Examples with a label that no class has."""
    jets = example()
    if kind not in ONE_HOT:
        return [replace(jets, labels=_changed(jets.labels, jet, number)) for number in (-1, 20_000, 2**40)]
    hot = jets.hot(ONE_HOT[kind])
    none, two, half, wrong = (hot.copy() for _ in range(4))
    none[jet], two[jet, :2], half[jet], wrong[jet] = 0, 1, 0.5, np.nan
    return [replace(jets, one_hot=labels) for labels in (none, two, half, wrong)]


def _changed(values: Any, place: int, value: Any) -> Any:
    values = values.copy()
    values[place] = value
    return values


def _planted(name: str, value: float) -> Example:
    jets = example()
    row = int(jets.offsets[JET]) + ROW
    assert row < jets.offsets[JET + 1]
    return jets.with_column(name, _changed(jets.columns[name], row, value))
