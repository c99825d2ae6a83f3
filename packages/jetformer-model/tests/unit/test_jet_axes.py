from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from jetformer_data.jets import Jets
from jetformer_data.schema import write
from jetformer_data.testing import example_jets
from jetformer_model.dataset import open_split
from jetformer_model.jet_axes import JetAxis, jet_axes
from jetformer_model.testing import example_state

JETS = example_jets(jets=211, seed=5, empty=2)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write(tmp_path / "jets.h5", JETS)
    return tmp_path / "jets.h5"


@pytest.mark.parametrize("min_pt", (0.0, 2.0))
def test_axes_are_of_the_jets_of_the_split_in_their_order(path: Path, min_pt: float) -> None:
    index = open_split(path, "test", example_state().inputs, 3).index.numpy()
    multiplicity, pt = jet_axes(path, "test", min_pt)
    pts = JETS.column("pt")
    counts = [(pts[a:b] >= min_pt).sum() for a, b in zip(JETS.offsets, JETS.offsets[1:], strict=False)]
    np.testing.assert_array_equal(multiplicity.values, np.array(counts)[index])
    column = JETS.jet_feature_names.index("jet_pt")
    assert JETS.jet_features is not None
    np.testing.assert_array_equal(pt.values, JETS.jet_features[index, column])


def test_bins_hold_all_jets_in_about_equal_numbers(path: Path) -> None:
    for axis in jet_axes(path, "all"):
        assert axis.edges[0] <= axis.values.min()
        assert axis.edges[-1] > axis.values.max()
        counts = np.bincount(axis.bin_of(), minlength=axis.bins)
        assert counts.sum() == len(JETS)
        assert counts.min() > 0.4 * len(JETS) / axis.bins


def test_a_jet_on_an_edge_belongs_to_the_bin_above_it() -> None:
    axis = JetAxis("pt", "", "GeV", np.array([0.0, 1, 1.5, 2, 2.9]), np.array([0.0, 1, 2, 3]))
    np.testing.assert_array_equal(axis.bin_of(), [0, 1, 1, 2, 2])


def test_jet_pt_is_left_out_where_it_is_not_stored(tmp_path: Path) -> None:
    bare: Jets = replace(JETS, jet_features=None, jet_feature_names=(), jet_feature_units=())
    write(tmp_path / "bare.h5", bare)
    assert [axis.name for axis in jet_axes(tmp_path / "bare.h5", "all")] == ["multiplicity"]


def test_jets_that_are_all_alike_share_one_bin(tmp_path: Path) -> None:
    alike = replace(
        JETS,
        constituents=JETS.constituents[np.argsort(-JETS.column("pt"))][:633],
        offsets=np.arange(0, 634, 3),
        jet_features=np.full_like(JETS.jet_features, 500),
    )
    write(tmp_path / "alike.h5", alike)
    for axis in jet_axes(tmp_path / "alike.h5", "all"):
        assert axis.bins == 1
        assert (axis.bin_of() == 0).all()
