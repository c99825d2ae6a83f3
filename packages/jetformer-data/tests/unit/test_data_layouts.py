"""Files in published layouts have their names, types and numbers, and appear complete or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from jetformer_data.errors import DataError
from jetformer_data.jets import offsets_of
from jetformer_data.layouts import hls4ml, jetclass, write_layout
from jetformer_data.raw import RawJets
from jetformer_data.sources import open_source
from jetformer_data.sources.jetclass import CLASSES, JetClassSource
from jetformer_data.testing.source_examples import example

FIVE = ("g", "q", "W", "Z", "t")


def _raw(jets: int = 30, seed: int = 1, classes: tuple[str, ...] = FIVE, most: int = 12) -> RawJets:
    made = example(jets, seed, most)
    return RawJets(made.columns, made.offsets, made.labels, classes, made.jets)


def _two_jets() -> RawJets:
    columns = {"pt": [1.0, 3.0, 2.0], "eta": [0.1, 0.2, 0.0], "phi": [0.3, 0.0, 3.0]}
    constituents = {name: np.array(values) for name, values in columns.items()}
    return RawJets(constituents, np.array([0, 2, 3]), np.array([2, 0]), ("t", "g", "W"))


def test_hls4ml_names_stand_where_the_published_ones_do() -> None:
    names = hls4ml.JET_NAMES
    assert len(names) == len(set(names)) == 59
    known = {
        0: "j_ptfrac",
        1: "j_pt",
        2: "j_eta",
        3: "j_mass",
        4: "j_tau1_b1",
        11: "j_tau32_b2",
        12: "j_zlogz",
    }
    # the 16 columns that taggers of jet observables use: 12, 34 to 46, 48 and 52
    known |= {
        34: "j_c1_b0_mmdt",
        40: "j_d2_b2_mmdt",
        46: "j_n2_b2_mmdt",
        48: "j_mass_mmdt",
        52: "j_multiplicity",
    }
    known |= {53: "j_g", 54: "j_q", 55: "j_w", 56: "j_z", 57: "j_t", 58: "j_undef"}
    assert {number: names[number] for number in known} == known


def test_hls4ml_file_has_the_published_shapes_types_and_order(tmp_path: Path) -> None:
    written = write_layout([_two_jets()], tmp_path / "out", "hls4ml")
    assert [path.name for path in written.paths] == ["jetImage_0_150p_0_2.h5"]
    with h5py.File(written.paths[0]) as file:
        constituents, jets = file["jetConstituentList"], file["jets"]
        assert (constituents.shape, constituents.dtype) == ((2, 150, 16), np.float64)
        assert (jets.shape, jets.dtype) == ((2, 59), np.float64)
        assert file["particleFeatureNames"][()].tolist()[:2] == [b"j1_px", b"j1_py"]
        assert file["particleFeatureNames"].shape == (17,)
        assert file["particleFeatureNames"][16] == b"j1_pdgid"
        assert file["jetFeatureNames"].dtype.kind == "S"
        np.testing.assert_allclose(constituents[0, :3, 5], [3, 1, 0])  # pt, falling
        np.testing.assert_allclose(constituents[0, :2, 0], [3, np.cos(0.3)])  # px
        np.testing.assert_allclose(constituents[0, :2, 7], [0.2, 0.1])  # eta
        assert not constituents[0, 2:].any()
        assert jets[:, -6:].tolist() == [[0, 0, 1, 0, 0, 0], [0, 0, 0, 0, 1, 0]]
        np.testing.assert_allclose(jets[1, 1], 2)  # j_pt
        assert jets[:, 52].tolist() == [2, 1]
    assert "j_mass_mmdt" in written.absent
    assert not {"j_pt", "j_g", "j_multiplicity"} & set(written.absent)


def test_hls4ml_files_hold_ten_thousand_jets_and_are_numbered_as_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hls4ml, "JETS_A_FILE", 7)
    monkeypatch.setattr(hls4ml, "FILES_A_SERIES", 3)
    raw = _raw()
    written = write_layout(
        [raw.select(np.arange(11)), raw.select(np.arange(11, 30))], tmp_path / "out", "hls4ml"
    )
    names = ["0_150p_0_7", "0_150p_7_14", "0_150p_14_21", "1_150p_0_7", "1_150p_7_9"]
    assert sorted(path.name for path in written.paths) == sorted(f"jetImage_{name}.h5" for name in names)
    labels = []
    for name in names:
        with open_source(tmp_path / "out" / f"jetImage_{name}.h5") as source:
            labels += source.read().labels.tolist()
    assert labels == raw.labels.tolist()
    assert written.jets == 30


def test_hls4ml_leaves_out_what_has_no_room_and_counts_it(tmp_path: Path) -> None:
    pt = np.arange(200.0)
    raw = RawJets({"pt": pt, "eta": pt * 0, "phi": pt * 0}, np.array([0, 200]), np.array([0]), ("q",))
    written = write_layout([raw], tmp_path / "out", "hls4ml")
    assert written.dropped == {"constituents without pt": 1, "constituents beyond 150": 49}
    with open_source(written.paths[0]) as source:
        np.testing.assert_array_equal(source.read().constituents["pt"], np.arange(199.0, 49.0, -1))


def test_jetclass_tree_has_the_published_branches_and_types(tmp_path: Path) -> None:
    uproot = pytest.importorskip("uproot", reason="needs the extra 'root'")
    raw = replace(_raw(classes=CLASSES), labels=np.arange(30) % 10)
    written = write_layout([raw], tmp_path / "jets.root", "jetclass")
    with uproot.open(tmp_path / "jets.root") as file:
        types = {branch.name: branch.typename for branch in file["tree"].branches}
        signed = file["tree/part_deta"].array(library="np")[5]
        assert file["tree/label_Tbl"].array(library="np").tolist() == [0] * 9 + [1] + ([0] * 9 + [1]) * 2
        assert file["tree/jet_nparticles"].array(library="np").tolist() == np.diff(raw.offsets).tolist()
    floats = ["px", "py", "pz", "energy", "deta", "dphi", "d0val", "d0err", "dzval", "dzerr", "charge"]
    kinds = ["isChargedHadron", "isNeutralHadron", "isPhoton", "isElectron", "isMuon"]
    expected = {f"part_{name}": "float[]" for name in floats} | {
        f"part_{name}": "int32_t[]" for name in kinds
    }
    expected |= {"npart": "int32_t", "label_QCD": "float"}
    expected |= {f"label_{name}": "bool" for name in ["Hbb", "Hcc", "Hgg", "H4q", "Hqql"]}
    expected |= {f"label_{name}": "int32_t" for name in ["Zqq", "Wqq", "Tbqq", "Tbl"]}
    jets = ["pt", "eta", "phi", "energy", "nparticles", "sdmass", "tau1", "tau2", "tau3", "tau4"]
    expected |= {f"jet_{name}": "float" for name in jets}
    expected |= {f"aux_genpart_{name}": "float" for name in ["eta", "phi", "pid", "pt"]}
    assert types == expected | {"aux_truth_match": "float"}
    sign = -1 if raw.jets["jet_eta"][5] < 0 else 1
    etarel = raw.constituents["etarel"][raw.offsets[5] : raw.offsets[6]]
    np.testing.assert_array_equal(signed, sign * etarel)
    assert {"jet_tau1", "aux_truth_match"} <= set(written.absent)


def test_baskets_of_a_tree_are_decompressed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("uproot", reason="needs the extra 'root'")
    monkeypatch.setattr(jetclass, "_BASKET_JETS", 7)
    raw = replace(_raw(classes=CLASSES), labels=np.arange(30) % 10)
    write_layout([raw], tmp_path / "jets.root", "jetclass")
    blocks = []
    decompress = JetClassSource._block

    def counting(self: JetClassSource, file: Any, start: int, stop: int) -> RawJets:
        blocks.append((start, stop))
        return decompress(self, file, start, stop)

    monkeypatch.setattr(JetClassSource, "_block", counting)
    with open_source(tmp_path / "jets.root") as source:
        pieces = list(source.chunks(3))
    assert blocks == [(0, 7), (7, 14), (14, 21), (21, 28), (28, 30)]
    assert [len(piece) for piece in pieces] == [3] * 10
    together = np.concatenate([piece.constituents["pz"] for piece in pieces])
    np.testing.assert_array_equal(together, raw.constituents["pz"])


def test_columns_that_are_absent_are_zero(tmp_path: Path) -> None:
    pytest.importorskip("uproot", reason="needs the extra 'root'")
    raw = replace(_two_jets(), class_names=("QCD", "Hbb", "Tbl"))
    written = write_layout([raw], tmp_path / "jets.root", "jetclass")
    assert {"part_charge", "part_d0val", "part_isMuon", "jet_sdmass"} <= set(written.absent)
    with open_source(tmp_path / "jets.root") as source:
        back = source.read()
    assert not back.constituents["charge"].any()
    np.testing.assert_allclose(back.constituents["energy"], raw.column("energy").astype(np.float32))


@pytest.mark.parametrize(("layout", "name"), (("hls4ml", "out"), ("jetclass", "jets.root")))
def test_nothing_half_written_is_left_behind(tmp_path: Path, layout: str, name: str) -> None:
    def failing() -> Iterator[RawJets]:
        yield _raw(classes=FIVE if layout == "hls4ml" else CLASSES)
        raise DataError("the source broke")

    with pytest.raises(DataError, match="the source broke"):
        write_layout(failing(), tmp_path / name, layout)
    with pytest.raises(DataError, match="no jets were given"):
        write_layout([], tmp_path / name, layout)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("layout", "name"), (("hls4ml", "out"), ("jetclass", "jets.root")))
def test_an_existing_output_is_replaced_only_if_asked(tmp_path: Path, layout: str, name: str) -> None:
    raw = _raw(classes=FIVE if layout == "hls4ml" else CLASSES)
    write_layout([raw], tmp_path / name, layout)
    with pytest.raises(DataError, match="exists already"):
        write_layout([raw], tmp_path / name, layout)
    fewer = raw.select(np.arange(4))
    written = write_layout([fewer], tmp_path / name, layout, overwrite=True)
    with open_source(written.paths[0]) as source:
        assert len(source) == 4
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_what_a_layout_has_no_place_for_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="class 'b' is none of layout hls4ml: g, q, W, Z, t"):
        write_layout([_raw(classes=("b", "c", "d", "e", "f"))], tmp_path / "out", "hls4ml")
    with pytest.raises(DataError, match="layout 'csv': expected one of hls4ml, jetclass"):
        write_layout([_raw()], tmp_path / "out", "csv")
    angles = RawJets(
        {"etarel": np.ones(1), "phirel": np.ones(1)}, offsets_of(np.array([1])), np.zeros(1, int), ("g",)
    )
    with pytest.raises(DataError, match="holds no 'pt'"):
        write_layout([angles], tmp_path / "out", "hls4ml")
    assert not list(tmp_path.iterdir())
