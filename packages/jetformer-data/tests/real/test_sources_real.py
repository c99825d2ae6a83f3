"""Every published sample of jets is read, and holds what physics expects."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from jetformer_data.errors import DataError
from jetformer_data.raw import RawJets
from jetformer_data.sources import open_source
from jetformer_data.sources.jetclass2_classes import CLASSES as CLASSES_2

REAL = os.environ.get("JETFORMER_REAL_DATA")
pytestmark = pytest.mark.skipif(
    not REAL, reason="JETFORMER_REAL_DATA is not set: it names the folder of real jets"
)
FORMATS = {
    "hls4ml_150p_real_1000.npz": ("four-vectors", 1000),
    "top_tagging_real_1000.npz": ("four-vectors", 1000),
    "quark_gluon_real_1000.npz": ("four-vectors", 1000),
    "jetclass_hbb_real_1000.npz": ("four-vectors", 1000),
    "jetclass_top_real_200.npz": ("four-vectors", 200),
    "JetClassII_example.parquet": ("jetclass2", 100),
}


def _read(name: str) -> RawJets:
    with open_source(Path(str(REAL)) / name) as source:
        return source.read()


@pytest.mark.parametrize("name", tuple(FORMATS))
def test_every_sample_is_read(name: str) -> None:
    with open_source(Path(str(REAL)) / name) as source:
        assert (source.format, len(source)) == FORMATS[name]
        whole, pieces = source.read(), list(source.chunks(33))
    assert sum(len(piece) for piece in pieces) == len(whole)
    for column, values in whole.constituents.items():
        np.testing.assert_array_equal(np.concatenate([p.constituents[column] for p in pieces]), values)


def test_top_tagging_label_1_is_the_top() -> None:
    raw = _read("top_tagging_real_1000.npz")
    mass = raw.column("jet_mass")
    medians = [float(np.median(mass[raw.labels == label])) for label in (0, 1)]
    # GeV; the top weighs 172.6
    assert medians[0] < 120
    assert 150 < medians[1] < 190
    in_peak = (mass > 140) & (mass < 200)
    assert in_peak[raw.labels == 1].mean() > 3 * in_peak[raw.labels == 0].mean()


def test_masses_of_jetclass_jets_peak_at_their_particles() -> None:
    higgs = _read("jetclass_hbb_real_1000.npz")
    assert set(higgs.labels) == {1}
    assert 105 < np.median(higgs.column("jet_mass")) < 140
    top = _read("jetclass_top_real_200.npz")
    assert 150 < np.median(top.column("jet_mass")[top.labels == 8]) < 190


def test_jetclass2_columns_agree_with_each_other() -> None:
    raw = _read("JetClassII_example.parquet")
    assert raw.class_names == CLASSES_2
    # derived from the four-vectors, without what the file says of the angles
    momenta = {name: raw.constituents[name] for name in ("px", "py", "pz", "energy")}
    axis = {name: raw.jets[name] for name in ("jet_eta", "jet_phi")}
    derived = RawJets(momenta, raw.offsets, raw.labels, raw.class_names, axis)
    np.testing.assert_allclose(raw.constituents["etarel"], derived.column("etarel"), atol=1e-5)
    np.testing.assert_allclose(raw.constituents["phirel"], derived.column("phirel"), atol=1e-5)
    summed = RawJets(momenta, raw.offsets, raw.labels, raw.class_names)
    np.testing.assert_allclose(raw.jets["jet_pt"], summed.column("jet_pt"), rtol=2e-3)
    kinds = [name for name in raw.constituents if name.startswith("is_")]
    assert (sum(raw.column(name) for name in kinds) == 1).all()


def test_vectors_of_a_root_file_are_those_of_the_parquet_file() -> None:
    pytest.importorskip("uproot", reason="needs the extra 'root'")
    name = "JetClassII_example.root"  # in the first version of github.com/jet-universe/sophon, lists as std::vector
    if not (Path(str(REAL)) / name).exists():
        pytest.skip(f"{name} is not among the real jets")
    tree, table = _read(name), _read("JetClassII_example.parquet")
    np.testing.assert_array_equal(tree.labels, table.labels)
    for column, values in {**table.constituents, **table.jets}.items():
        theirs = tree.constituents.get(column, tree.jets.get(column))
        np.testing.assert_array_equal(theirs, values)


def test_delphes_events_are_no_jets() -> None:
    pytest.importorskip("uproot", reason="needs the extra 'root'")
    with pytest.raises(DataError, match="holds events of a Delphes simulation, not jets"):
        open_source(Path(str(REAL)) / "events_delphes_example.root")
