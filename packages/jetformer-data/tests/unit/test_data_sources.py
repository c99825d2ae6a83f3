"""What is particular to each reader, on files written by hand."""

from __future__ import annotations

import io
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from jetformer_data.errors import DataError, MissingExtraError, SourceError
from jetformer_data.sources import open_source
from jetformer_data.sources.jetclass2_classes import CLASSES as CLASSES_2
from jetformer_data.sources.names import canonical, canonical_columns
from jetformer_data.testing.source_examples import WRITERS, example


def write_hls4ml(path: Path, rows: Any, labels: Any, names: bool = True) -> None:
    """`rows` of px, py, pz, e, pt a jet; jets have the columns j_pt, j_g, j_q, j_w, j_z, j_t, j_undef."""
    with h5py.File(path, "w") as file:
        file["jetConstituentList"] = np.array(rows, float)
        file["jets"] = np.array(labels, float)
        file["particleFeatureNames"] = np.array(
            [b"j1_px", b"j1_py", b"j1_pz", b"j1_e", b"j1_pt", b"j1_pdgid"]
        )
        if names:
            jet_names = [b"j_pt", b"j_t", b"j_z", b"j_w", b"j_q", b"j_g", b"j_undef"]
            file["jetFeatureNames"] = np.array(jet_names)


A, B, NOTHING = [3.0, 4.0, 0.0, 5.5, 5.0], [0.0, 1.0, 1.0, 1.5, 1.0], [0.0] * 5


def test_hls4ml_labels_are_found_by_name_and_padding_is_removed(tmp_path: Path) -> None:
    rows = [[A, B, NOTHING, NOTHING], [NOTHING] * 4, [A, NOTHING, B, NOTHING]]
    labels = [[990, 0, 0, 0, 0, 1, 0], [991, 1, 0, 0, 0, 0, 0], [992, 0, 0, 1, 0, 0, 0]]
    write_hls4ml(tmp_path / "jets.h5", rows, labels)
    with open_source(tmp_path / "jets.h5") as source:
        raw = source.read()
    assert source.class_names == ("g", "q", "W", "Z", "t")
    assert [source.class_names[k] for k in raw.labels] == ["g", "t", "W"]
    assert raw.offsets.tolist() == [0, 2, 2, 4]
    assert raw.constituents["energy"].tolist() == [5.5, 1.5, 5.5, 1.5]
    assert raw.jets["jet_pt"].tolist() == [990, 991, 992]
    assert set(raw.constituents) == {"px", "py", "pz", "energy", "pt"}


def test_hls4ml_labels_without_names_are_the_columns_before_the_last(tmp_path: Path) -> None:
    labels = [[7, 990, 0, 0, 0, 1, 0, 0], [7, 991, 1, 0, 0, 0, 0, 0]]
    write_hls4ml(tmp_path / "jets.h5", [[A], [B]], labels, names=False)
    with open_source(tmp_path / "jets.h5") as source:
        assert source.read().labels.tolist() == [3, 0]


def test_hls4ml_lacking_a_label_is_refused(tmp_path: Path) -> None:
    write_hls4ml(tmp_path / "jets.h5", [[A]], [[990, 0, 0, 0, 0, 1, 0]])
    with h5py.File(tmp_path / "jets.h5", "r+") as file:
        file["jetFeatureNames"][1] = b"j_x"
    with pytest.raises(SourceError, match=r"jets\.h5: column 'j_t' is missing from 'jets'"):
        open_source(tmp_path / "jets.h5")


def test_hls4ml_constituent_without_pt_that_has_momentum_is_refused(tmp_path: Path) -> None:
    write_hls4ml(tmp_path / "jets.h5", [[A, [0, 0, 7, 7, 0]]], [[990, 0, 0, 0, 0, 1, 0]])
    with (
        open_source(tmp_path / "jets.h5") as source,
        pytest.raises(SourceError, match="jet 0, column 'j1_pt'"),
    ):
        source.read()


def test_jetclass_eta_is_relative_without_the_sign_of_the_jet(tmp_path: Path) -> None:
    uproot = pytest.importorskip("uproot", reason="needs the extra 'root'")
    ak = pytest.importorskip("awkward", reason="needs the extra 'root'")
    lists = {name: ak.Array([[3.0, 4.0], [5.0]]) for name in ("part_px", "part_deta", "part_dphi")}
    lists |= {name: ak.Array([[0.0, 0.0], [0.0]]) for name in ("part_py", "part_pz")}
    lists["part_energy"] = ak.Array([[3.0, 4.0], [5.0]])
    labels = {
        f"label_{name}": np.zeros(2, np.int32)
        for name in ["QCD", "Hbb", "Hcc", "Hgg", "H4q", "Hqql", "Zqq", "Wqq"]
    }
    labels |= {"label_Tbqq": np.array([1, 0]), "label_Tbl": np.array([0, 1])}
    with uproot.recreate(tmp_path / "jets.root") as file:
        branches = {**lists, **labels, "jet_eta": np.array([0.5, -0.5])}
        kinds = {name: getattr(v, "dtype", None) or v.type.content for name, v in branches.items()}
        file.mktree("tree", kinds)
        file["tree"].extend(branches)
    with open_source(tmp_path / "jets.root") as source:
        raw = source.read()
    assert [source.class_names[k] for k in raw.labels] == ["Tbqq", "Tbl"]
    assert raw.constituents["etarel"].tolist() == [3.0, 4.0, -5.0]
    assert raw.constituents["phirel"].tolist() == [3.0, 4.0, 5.0]


def test_delphes_events_are_refused_with_a_hint(tmp_path: Path) -> None:
    uproot = pytest.importorskip("uproot", reason="needs the extra 'root'")
    with uproot.recreate(tmp_path / "events.root") as file:
        file.mktree("Delphes", {"Jet_size": np.int32})
        file["Delphes"].extend({"Jet_size": np.arange(3, dtype=np.int32)})
    with pytest.raises(SourceError, match=r"events\.root: holds events of a Delphes simulation"):
        open_source(tmp_path / "events.root")


def test_jetclass2_has_188_classes_in_the_published_order() -> None:
    assert len(set(CLASSES_2)) == len(CLASSES_2) == 188
    known = {0: "X_bb", 14: "X_tauhtauh", 15: "X_YY_bbbb", 77: "X_YY_gggg", 94: "X_YY_gee", 131: "X_YY_bcev"}
    known |= {160: "X_YY_qqtauhv", 161: "QCD_bbccss", 187: "QCD_light"}
    assert {number: CLASSES_2[number] for number in known} == known


def test_quark_gluon_reference_becomes_four_vectors_and_kinds(tmp_path: Path) -> None:
    # a pion at rapidity 0, a proton moving forwards, a photon; then nothing
    x = np.zeros((2, 4, 4))
    x[0, 0] = [3.0, 0.0, 0.0, -211]
    x[0, 1] = [4.0, 1.0, np.pi / 2, 2212]
    x[1, 0] = [2.0, -0.5, np.pi, 22]
    np.savez(tmp_path / "QG_jets.npz", X=x, y=np.array([1.0, 0.0]))
    with open_source(tmp_path / "QG_jets.npz") as source:
        raw = source.read()
    assert [source.class_names[k] for k in raw.labels] == ["q", "g"]
    assert raw.offsets.tolist() == [0, 2, 3]
    pion, proton, photon = np.stack([raw.column(name) for name in ("px", "py", "pz", "energy")], axis=1)
    np.testing.assert_allclose(pion, [3, 0, 0, np.sqrt(9 + 0.13957**2)], atol=1e-9)
    transverse = np.sqrt(16 + 0.938272**2)
    np.testing.assert_allclose(proton, [0, 4, transverse * np.sinh(1), transverse * np.cosh(1)], atol=1e-9)
    np.testing.assert_allclose(photon, [-2, 0, -2 * np.sinh(0.5), 2 * np.cosh(0.5)], atol=1e-9)
    assert raw.constituents["charge"].tolist() == [-1, 1, 0]
    assert raw.constituents["is_charged_hadron"].tolist() == [True, True, False]
    assert raw.constituents["is_photon"].tolist() == [False, False, True]


def test_unknown_particle_of_the_quark_gluon_reference_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "qg.npz", X=np.array([[[3.0, 0, 0, 212]]]), y=np.array([1]))
    with (
        open_source(tmp_path / "qg.npz") as source,
        pytest.raises(SourceError, match=r"jet 0.*PDG number 212"),
    ):
        source.read()


def test_names_of_an_array_may_say_what_it_holds(tmp_path: Path) -> None:
    both = np.array([[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]])
    np.savez(tmp_path / "a.npz", etarel_phirel=both, offsets=[0, 1, 3], labels=[0, 1], classes=["b", "c"])
    with open_source(tmp_path / "a.npz") as source:
        raw = source.read()
    assert raw.constituents["phirel"].tolist() == [0.2, 0.4, 0.6]
    assert raw.class_names == ("b", "c")


@pytest.mark.parametrize("order", (["px", "py", "pz", "energy"], ["energy", "px", "py", "pz"]))
def test_the_order_of_four_vectors_is_found_out(tmp_path: Path, order: list[str]) -> None:
    jets = example()
    p4 = np.stack([jets.columns[name] for name in order], axis=1)
    np.savez(tmp_path / "jets.npz", p4=p4, offsets=jets.offsets, labels=jets.labels)
    with open_source(tmp_path / "jets.npz") as source:
        np.testing.assert_array_equal(source.read().constituents["pz"], jets.columns["pz"])
    assert source.class_names == tuple(f"label_{k}" for k in range(5))


def test_arrays_by_columns_and_of_other_machines_are_read(tmp_path: Path) -> None:
    jets = example()
    p4 = np.stack([jets.columns[name] for name in ("px", "py", "pz", "energy")], axis=1)
    other = np.asfortranarray(p4.astype(">f4"))
    np.savez(tmp_path / "jets.npz", p4=other, offsets=jets.offsets.astype(">i4"), labels=jets.labels)
    with open_source(tmp_path / "jets.npz") as source:
        np.testing.assert_array_equal(
            source.read(3, 9).column("pz"), _rows(jets.columns["pz"], jets.offsets, 3, 9)
        )


def test_a_pickle_in_an_npz_is_left_alone(tmp_path: Path) -> None:
    jets = example()
    WRITERS["npz_rows"][2](tmp_path / "jets.npz", jets)
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.array([print], dtype=object), allow_pickle=True)
    with zipfile.ZipFile(tmp_path / "jets.npz", "a") as file:
        file.writestr("energy.npy", buffer.getvalue())
    with open_source(tmp_path / "jets.npz") as source:
        assert len(source.read()) == 30


def test_names_of_a_pandas_table_are_not_unpickled(tmp_path: Path) -> None:
    WRITERS["pandas_table"][2](tmp_path / "jets.h5", example())
    evil = b"cos\nsystem\n(S'touch " + str(tmp_path / "evil").encode() + b"'\ntR."
    with h5py.File(tmp_path / "jets.h5", "r+") as file:
        file["table/table"].attrs["values_block_0_kind"] = np.bytes_(evil)
    with pytest.raises(SourceError, match=r"jets\.h5: 'values_block_0' has .* columns, but 1 names"):
        open_source(tmp_path / "jets.h5")
    assert not (tmp_path / "evil").exists()


def test_an_array_that_claims_more_than_the_file_can_hold_is_refused(tmp_path: Path) -> None:
    header = io.BytesIO()
    claim = {"descr": "<f8", "fortran_order": False, "shape": (10**12, 4)}
    np.lib.format.write_array_header_1_0(header, claim)
    with zipfile.ZipFile(tmp_path / "jets.npz", "w") as file:
        file.writestr("p4.npy", header.getvalue())
    with pytest.raises(SourceError, match=r"array 'p4\.npy' is truncated"):
        open_source(tmp_path / "jets.npz")


def test_parquet_null_is_refused_by_its_place(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow", reason="needs the extra 'parquet'")
    parquet = pytest.importorskip("pyarrow.parquet", reason="needs the extra 'parquet'")
    columns = {name: [[1.0], None, [2.0]] for name in ("px", "py", "pz", "energy")}
    parquet.write_table(pyarrow.table({**columns, "label": [0, 1, 0]}), tmp_path / "jets.parquet")
    with (
        open_source(tmp_path / "jets.parquet") as source,
        pytest.raises(SourceError, match="jet 1, column 'px'"),
    ):
        source.read()


@pytest.mark.parametrize(
    ("kind", "module", "extra"), (("jetclass", "uproot", "root"), ("jetclass2", "pyarrow.parquet", "parquet"))
)
def test_an_absent_extra_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, module: str, extra: str
) -> None:
    WRITERS[kind][2](tmp_path / "jets", example())
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError, match=rf"pip install 'jetformer-data\[{extra}\]'"):
        open_source(tmp_path / "jets")


def test_what_is_no_file_of_jets_is_refused_with_what_can_be_read(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("jets\n")
    (tmp_path / "empty.root").write_bytes(b"")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["weights"] = np.zeros(3)
    with tarfile.open(tmp_path / "jets.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "other.h5", "other.h5")
    says = {
        "notes.txt": "neither",
        "empty.root": "neither",
        "other.h5": "readable are",
        "jets.tar.gz": "an archive",
    }
    for name, words in says.items():
        with pytest.raises(DataError, match=words):
            open_source(tmp_path / name)
    with pytest.raises(DataError, match="is a folder"):
        open_source(tmp_path)


def test_labels_are_asked_for(tmp_path: Path) -> None:
    np.savez(tmp_path / "jets.npz", p4=np.ones((2, 4)), offsets=[0, 2])
    with pytest.raises(SourceError, match="column 'labels' is missing"):
        open_source(tmp_path / "jets.npz")


def test_synonyms() -> None:
    names = ("part_px", "Px", "E", "part_isMuon", "part_d0err", "j1_etarel", "dphi", "part_weird")
    assert [canonical(name) for name in names] == [
        *("px", "px", "energy", "is_muon", "d0_error", "etarel", "phirel", None)
    ]
    assert canonical_columns(["PX", "px", "e"]) == {"px": "PX", "energy": "e"}


def _rows(values: Any, offsets: Any, start: int, stop: int) -> Any:
    return values[offsets[start] : offsets[stop]]
