"""`inspect`, `plot` and `validate` on real jets of each format."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from jetformer_data import plotting
from jetformer_data.distributions import compare
from jetformer_data.errors import DataError
from jetformer_data.inspection import inspect
from jetformer_data.sources import open_source
from jetformer_data.verdicts import validate

REAL = os.environ.get("JETFORMER_REAL_DATA")
pytestmark = pytest.mark.skipif(
    not REAL, reason="JETFORMER_REAL_DATA is not set: it names the folder of real jets"
)
# name -> jets, format, mean number of constituents
FILES = {
    "hls4ml_150p_real_1000.npz": (1000, "four-vectors", 50.1),
    "top_tagging_real_1000.npz": (1000, "four-vectors", 48.8),
    "quark_gluon_real_1000.npz": (1000, "four-vectors", 43.6),
    "jetclass_hbb_real_1000.npz": (1000, "four-vectors", 41.2),
    "jetclass_top_real_200.npz": (200, "four-vectors", 38.3),
    "JetClassII_example.parquet": (100, "jetclass2", 45.3),
}
each_file = pytest.mark.parametrize("name", FILES)


def real(name: str) -> Path:
    return Path(str(REAL)) / name


def test_every_file_with_jets_is_looked_at() -> None:
    others = set()
    for path in Path(str(REAL)).iterdir():
        try:
            open_source(path).close()
        except DataError:
            others.add(path.suffix)
        else:
            assert path.name in FILES
    assert others <= {".md", ".root"}


@each_file
def test_inspect(name: str) -> None:
    jets, format_name, mean = FILES[name]
    summary = inspect(real(name))
    assert (summary["jets"], summary["format"]) == (jets, format_name)
    assert sum(row["jets"] for row in summary["classes"].values()) == jets
    assert summary["constituents"] / jets == pytest.approx(mean, abs=0.05)
    if "jet_pt" in summary["classes"][max(summary["classes"], key=lambda c: summary["classes"][c]["jets"])]:
        assert all(row["jet_pt"]["least"] > 200 for row in summary["classes"].values() if row["jets"])


@each_file
def test_validate_finds_nothing_wrong(name: str) -> None:
    found = {v.name: v for v in validate(real(name))}
    assert {n for n, v in found.items() if v.level == "FAIL"} == set()
    # the samples lack classes, and nothing else
    assert {n for n, v in found.items() if v.level == "warn"} <= {"balance"}
    assert found["readable"].level == "ok"


def test_top_jets_are_the_heavy_ones() -> None:
    classes = inspect(real("top_tagging_real_1000.npz"))["classes"]
    masses = [row["jet_mass"]["mean"] for row in classes.values()]
    assert masses[1] > 150 > masses[0]
    (seen,) = compare([real("top_tagging_real_1000.npz")])
    mass = seen.histograms["jet_mass"]
    middles = (mass.edges[1:] + mass.edges[:-1]) / 2
    assert 150 < middles[mass.counts[1].argmax()] < 190


def test_leading_constituents_of_jets_without_pt_are_the_first() -> None:
    (seen,) = compare([real("hls4ml_150p_real_1000.npz")])
    assert list(seen.histograms) == ["multiplicity", "leading_delta_r"]
    assert not seen.image_entries.any()
    leading = seen.histograms["leading_delta_r"]
    middles = (leading.edges[1:] + leading.edges[:-1]) / 2
    mean = dict(zip(seen.class_names, leading.density() @ middles, strict=True))
    assert mean["q"] < mean["g"] < mean["W"] < mean["t"]


@each_file
def test_plot(name: str, tmp_path: Path) -> None:
    pytest.importorskip("mplhep", reason="needs the extra 'plot'")
    written = {path.stem for path in plotting.plot(real(name), tmp_path, features=None)}
    assert {"multiplicity", "leading_delta_r"} <= written
    assert ("jet_mass" in written) == ("jet_images" in written) == (not name.startswith("hls4ml"))
    assert ("jet_sdmass" in written) == name.endswith("parquet")


def test_all_seventeen_features_of_a_real_file() -> None:
    (seen,) = compare([real("JetClassII_example.parquet")])
    assert len(seen.features) == 17
    charge = seen.features["part_charge"]
    np.testing.assert_allclose(charge.edges, [-1.5, -0.5, 0.5, 1.5])
    assert charge.counts.sum() == charge.entries.sum()
