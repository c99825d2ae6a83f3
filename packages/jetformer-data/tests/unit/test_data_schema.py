"""The schema on disk: what is written is read again, and what is broken is refused with file and place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from jetformer_data import schema
from jetformer_data.jets import Jets, Normalisation, concatenate
from jetformer_data.schema import SchemaError
from jetformer_data.testing import example_jets


def assert_same(left: Jets, right: Jets) -> None:
    for name in ("constituents", "offsets", "labels", "jet_features"):
        np.testing.assert_array_equal(getattr(left, name), getattr(right, name))
    for name in (
        "feature_names",
        "feature_units",
        "class_names",
        "jet_feature_names",
        "jet_feature_units",
        "provenance",
    ):
        assert getattr(left, name) == getattr(right, name)


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    constants = Normalisation(np.array([1.0, 2.0, 3.0]), np.array([4.0, 5.0, 6.0]))
    jets = replace(
        example_jets(53, seed=1, empty=2), normalisation=constants, provenance={"seed": 7, "why": ["a", "b"]}
    )
    schema.write(tmp_path / "jets.h5", jets)
    stored = schema.read(tmp_path / "jets.h5")
    assert_same(stored, jets)
    assert stored.normalisation is not None
    np.testing.assert_array_equal(stored.normalisation.mean, constants.mean)
    np.testing.assert_array_equal(stored.normalisation.std, constants.std)


def test_jet_features_and_normalisation_are_optional(tmp_path: Path) -> None:
    jets = replace(example_jets(7, seed=1), jet_features=None, jet_feature_names=(), jet_feature_units=())
    schema.write(tmp_path / "jets.h5", jets)
    stored = schema.read(tmp_path / "jets.h5")
    assert stored.jet_features is None
    assert stored.normalisation is None


def test_groups_are_kept_and_follow_their_jets(tmp_path: Path) -> None:
    sets = [replace(example_jets(n, seed=n), groups=np.arange(n) * 2**40 + n) for n in (5, 7)]
    with schema.Writer(tmp_path / "jets.h5") as writer:
        for jets in sets:
            writer.append(jets)
    expected = concatenate(sets).groups
    assert expected is not None
    with schema.Reader(tmp_path / "jets.h5") as reader:
        np.testing.assert_array_equal(reader.read(3, 9).groups, expected[3:9])
        np.testing.assert_array_equal(reader.per_jet("groups", 4), expected[4:])
        np.testing.assert_array_equal(reader.read().select(np.array([11, 2])).groups, expected[[11, 2]])


def test_groups_in_some_sets_only_are_refused(tmp_path: Path) -> None:
    jets = example_jets(5, seed=1)
    with schema.Writer(tmp_path / "jets.h5") as writer:
        writer.append(jets)
        with pytest.raises(SchemaError, match="'groups' must be present in every set"):
            writer.append(replace(jets, groups=np.arange(5)))
    with pytest.raises(SchemaError, match="'groups' has dtype int32, expected int64"):
        schema.write(tmp_path / "jets.h5", replace(jets, groups=np.arange(5, dtype=np.int32)))


@pytest.mark.parametrize(
    ("start", "stop"), ((None, None), (3, 11), (0, 0), (50, None), (-5, None), (90, 95), (8, 3))
)
def test_a_part_is_a_slice(tmp_path: Path, start: int | None, stop: int | None) -> None:
    jets = example_jets(53, seed=2, empty=1)
    schema.write(tmp_path / "jets.h5", jets)
    assert_same(schema.read(tmp_path / "jets.h5", start, stop), jets.select(np.arange(53)[start:stop]))


def test_appended_sets_make_one(tmp_path: Path) -> None:
    sets = [example_jets(n, seed=n) for n in (5, 1, 13)]
    with schema.Writer(tmp_path / "jets.h5") as writer:
        for jets in sets:
            writer.append(jets)
    with schema.Reader(tmp_path / "jets.h5") as reader:
        assert len(reader) == 19
        assert_same(reader.read(), concatenate(sets))
        assert_same(concatenate(list(reader.chunks(4))), concatenate(sets))


def test_layout_is_that_of_the_interface_page(tmp_path: Path) -> None:
    schema.write(tmp_path / "jets.h5", example_jets(5, seed=3))
    with h5py.File(tmp_path / "jets.h5") as file:
        assert {name: str(file[name].dtype) for name in file} == {
            "constituents": "float32",
            "offsets": "int64",
            "labels": "int64",
            "jet_features": "float32",
        }
        assert file.attrs["schema"] == b"jetformer-jets"
        assert file.attrs["schema_version"] == schema.VERSION.encode()
        assert list(file.attrs["feature_names"]) == [b"pt", b"etarel", b"phirel"]
        assert list(file.attrs["feature_units"]) == [b"GeV", b"1", b"rad"]
        # no string lies in the part of an HDF5 file that has no checksums
        assert all(
            h5py.check_string_dtype(file.attrs.get_id(name).dtype) is None
            or h5py.check_string_dtype(file.attrs.get_id(name).dtype).length
            for name in file.attrs
        )


def test_texts_are_kept(tmp_path: Path) -> None:
    provenance = {"long": "x" * 200_000, "signs": "η φ ΔR", "empty": ""}
    jets = replace(
        example_jets(5, seed=1),
        feature_units=("GeV", "", "°"),
        provenance=provenance,
        class_names=("g", "q→", "W", "Z", "t"),
    )
    schema.write(tmp_path / "jets.h5", jets)
    stored = schema.read(tmp_path / "jets.h5")
    assert stored.feature_units == ("GeV", "", "°")
    assert stored.class_names == ("g", "q→", "W", "Z", "t")
    assert stored.provenance == provenance


@pytest.mark.parametrize("number", range(200))
def test_flipped_bytes_are_found_or_harmless(tmp_path: Path, number: int) -> None:
    path, jets, rng = tmp_path / "jets.h5", example_jets(7, seed=1), np.random.default_rng(number)
    schema.write(path, jets)
    content = bytearray(path.read_bytes())
    with h5py.File(path) as file:
        data = np.zeros(len(content), bool)
        for dataset in file.values():
            dataset.id.chunk_iter(
                lambda chunk: data.__setitem__(slice(chunk.byte_offset, chunk.byte_offset + chunk.size), True)
            )
    for place in rng.choice(np.flatnonzero(~data), size=3):
        content[place] ^= int(rng.integers(1, 256))
    path.write_bytes(content)
    stored, damage = None, ""
    try:
        stored = schema.read(path)
    except SchemaError as error:
        damage = str(error)
    if stored is None:
        assert "jets.h5" in damage
    else:
        assert_same(stored, jets)


def test_a_file_made_by_another_program_is_read(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["constituents"] = np.array([[3, 0.5], [2, 0.25], [9, 0]], np.float32)
        file["offsets"] = np.array([0, 2, 2, 3])
        file["labels"] = np.array([1, 0, 1])
        file.attrs["schema"], file.attrs["schema_version"] = "jetformer-jets", "1.4"
        file.attrs["feature_names"], file.attrs["feature_units"] = ["pt", "etarel"], ["GeV", "1"]
        file.attrs["class_names"], file.attrs["provenance"] = ["q", "t"], "{}"
    jets = schema.read(tmp_path / "other.h5")
    assert jets.multiplicity.tolist() == [2, 0, 1]
    assert jets.column("etarel").tolist() == [0.5, 0.25, 0.0]


def test_nothing_appears_when_writing_fails(tmp_path: Path) -> None:
    def write_half() -> None:
        with schema.Writer(tmp_path / "jets.h5") as writer:
            writer.append(example_jets(5, seed=1))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_half()
    assert list(tmp_path.iterdir()) == []


def test_an_older_file_survives_a_failure(tmp_path: Path) -> None:
    jets = example_jets(5, seed=1)
    schema.write(tmp_path / "jets.h5", jets)
    broken = replace(jets, labels=jets.labels + 5)
    with pytest.raises(SchemaError, match="outside the 5 classes"):
        schema.write(tmp_path / "jets.h5", broken)
    assert_same(schema.read(tmp_path / "jets.h5"), jets)


def test_half_written_rows_are_not_under_the_name(tmp_path: Path) -> None:
    with schema.Writer(tmp_path / "jets.h5") as writer:
        writer.append(example_jets(5, seed=1))
        assert not (tmp_path / "jets.h5").exists()
    assert (tmp_path / "jets.h5").exists()


def test_sets_with_other_features_cannot_be_appended(tmp_path: Path) -> None:
    jets = example_jets(5, seed=1)
    other = replace(jets, feature_names=("pt", "eta", "phi"))
    with schema.Writer(tmp_path / "jets.h5") as writer:
        writer.append(jets)
        with pytest.raises(SchemaError, match="'feature_names' changed"):
            writer.append(other)


def test_an_empty_writer_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match="no jets were appended"), schema.Writer(tmp_path / "jets.h5"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SchemaError, match="cannot be written"):
        schema.write(tmp_path / "file" / "jets.h5", example_jets(5, seed=1))


def _attribute(name: str, value: object) -> Callable[[h5py.File], None]:
    return lambda file: file.attrs.__setitem__(name, value)


def _values(name: str, index: object, value: object) -> Callable[[h5py.File], None]:
    return lambda file: file[name].__setitem__(index, value)


def _replaced(name: str, change: Callable[[np.ndarray], np.ndarray]) -> Callable[[h5py.File], None]:
    def corrupt(file: h5py.File) -> None:
        values = change(file[name][:])
        del file[name]
        file[name] = values

    return corrupt


CORRUPTIONS = {
    "future version": (_attribute("schema_version", "2.0"), "schema version 2.0 is not known"),
    "another schema": (_attribute("schema", "pictures"), "'schema' is 'pictures'"),
    "no version": (lambda f: f.attrs.__delitem__("schema_version"), "'schema_version' is missing"),
    "no class names": (lambda f: f.attrs.__delitem__("class_names"), "'class_names' is missing"),
    "no labels": (lambda f: f.__delitem__("labels"), "dataset 'labels' is missing"),
    "no constituents": (lambda f: f.__delitem__("constituents"), "dataset 'constituents' is missing"),
    "wide constituents": (
        _replaced("constituents", np.float64),
        "'constituents' has dtype float64, expected float32",
    ),
    "short labels dtype": (_replaced("labels", np.int32), "'labels' has dtype int32, expected int64"),
    "one label less": (_replaced("labels", lambda a: a[:-1]), r"'offsets' has shape \[54\], expected \[53\]"),
    "one column less": (_replaced("constituents", lambda a: a[:, :2]), "'constituents' has shape"),
    "one row less": (_replaced("constituents", lambda a: a[:-1]), "'offsets' ends at"),
    "first offset": (_values("offsets", 0, 1), "'offsets' starts at 1"),
    "falling offsets": (_values("offsets", 20, 1), "'offsets' falls from .* at jet 19"),
    "NaN": (_values("constituents", (0, 1), np.nan), "'constituents' holds nan in feature 'etarel' of jet 0"),
    "infinite jet": (
        _values("jet_features", (3, 0), np.inf),
        "'jet_features' holds inf in feature 'jet_pt' of jet 3",
    ),
    "label too large": (_values("labels", 8, 5), "label 5 of jet 8 is outside the 5 classes"),
    "negative label": (_values("labels", 9, -1), "label -1 of jet 9 is outside"),
    "unsorted": (_values("constituents", (1, 0), 1e4), "constituents of jet 0 are not sorted"),
    "repeated name": (
        _attribute("class_names", ["g", "g", "W", "Z", "t"]),
        "'class_names' holds a name twice",
    ),
    "bad JSON": (_attribute("provenance", "{"), "'provenance' is not JSON"),
    "half a normalisation": (_attribute("normalisation_mean", np.zeros(3)), "must be present together"),
}


@pytest.mark.parametrize("fault", CORRUPTIONS)
def test_faults_are_named(tmp_path: Path, fault: str) -> None:
    corrupt, message = CORRUPTIONS[fault]
    schema.write(tmp_path / "jets.h5", example_jets(53, seed=4))
    with h5py.File(tmp_path / "jets.h5", "r+") as file:
        corrupt(file)
    with pytest.raises(SchemaError, match=message) as caught:
        schema.check(tmp_path / "jets.h5")
    assert "jets.h5" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_faults_are_placed_in_the_whole_file(tmp_path: Path) -> None:
    schema.write(tmp_path / "jets.h5", example_jets(53, seed=4))
    with h5py.File(tmp_path / "jets.h5", "r+") as file:
        file["labels"][44] = 9
    with schema.Reader(tmp_path / "jets.h5") as reader, pytest.raises(SchemaError, match="label 9 of jet 44"):
        list(reader.chunks(10))
    assert len(schema.read(tmp_path / "jets.h5", 0, 40)) == 40, "what is not read is not refused"


@pytest.mark.parametrize("share", (0.0, 0.001, 0.1, 0.5, 0.99))
def test_truncated_files_are_refused(tmp_path: Path, share: float) -> None:
    schema.write(tmp_path / "jets.h5", example_jets(53, seed=5))
    content = (tmp_path / "jets.h5").read_bytes()
    (tmp_path / "jets.h5").write_bytes(content[: int(share * len(content))])
    with pytest.raises(SchemaError, match=r"jets\.h5: is (not an HDF5 file|truncated)"):
        schema.check(tmp_path / "jets.h5")


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text.h5").write_text("pt,eta,phi")
    with pytest.raises(SchemaError, match=r"text\.h5: is not an HDF5 file"):
        schema.read(tmp_path / "text.h5")
    with pytest.raises(SchemaError, match=r"absent\.h5: there is no such file"):
        schema.read(tmp_path / "absent.h5")
    with pytest.raises(SchemaError, match="is not a file"):
        schema.read(tmp_path)
    with h5py.File(tmp_path / "empty.h5", "w"):
        pass
    with pytest.raises(SchemaError, match="attribute 'schema' is missing"):
        schema.read(tmp_path / "empty.h5")
