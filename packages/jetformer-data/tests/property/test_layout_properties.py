"""What was written in a published layout is read back in every bit."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from jetformer_data.features import FEATURE_SETS
from jetformer_data.jets import offsets_of
from jetformer_data.layouts import write_layout
from jetformer_data.raw import RawJets
from jetformer_data.sources import open_source
from jetformer_data.sources.jetclass import CLASSES

_MOMENTA = st.floats(-2e3, 2e3, width=32, allow_nan=False, allow_subnormal=False)


@st.composite
def raw_jets(draw: st.DrawFn, classes: tuple[str, ...]) -> RawJets:
    """Jets of a few constituents with any float32 values that jets may have, and none at all now and then."""
    counts = draw(st.lists(st.integers(0, 5), min_size=1, max_size=6))
    rows = sum(counts)

    def column(values: st.SearchStrategy[float]) -> Any:
        return draw(arrays(np.float32, rows, elements=values))

    columns = {name: column(_MOMENTA) for name in ("px", "py", "pz")}
    columns["px"] = np.where(np.hypot(columns["px"], columns["py"]) < 1e-3, np.float32(1), columns["px"])
    momentum = np.sqrt(sum(columns[name].astype(float) ** 2 for name in columns))
    columns["energy"] = (momentum * 1.0001 + 0.1).astype(np.float32)
    small = st.floats(-3, 3, width=32)
    columns |= {name: column(small) for name in ("etarel", "phirel", "d0", "dz", "d0_error", "dz_error")}
    columns["charge"] = column(st.sampled_from([-1.0, 0.0, 1.0]))
    for name in ("charged_hadron", "neutral_hadron", "photon", "electron", "muon"):
        columns[f"is_{name}"] = column(st.sampled_from([0.0, 1.0])).astype(np.int32)
    per_jet = st.lists(st.floats(0.5, 3, width=32), min_size=len(counts), max_size=len(counts))
    names = ("jet_pt", "jet_eta", "jet_phi", "jet_energy", "jet_sdmass", "jet_tau1", "jet_tau2")
    jets = {name: np.array(draw(per_jet), np.float32) for name in names}
    jets["jet_eta"] = jets["jet_eta"] * draw(st.sampled_from([np.float32(-1), np.float32(1)]))
    labels = draw(st.lists(st.integers(0, len(classes) - 1), min_size=len(counts), max_size=len(counts)))
    return RawJets(columns, offsets_of(np.array(counts)), np.array(labels, np.int64), classes, jets)


def _bits(values: Any) -> bytes:
    return np.ascontiguousarray(values).tobytes()


@settings(max_examples=25)
@given(raw_jets(CLASSES))
def test_jetclass(raw: RawJets) -> None:
    pytest.importorskip("uproot", reason="needs the extra 'root'")
    with TemporaryDirectory() as folder:
        write_layout([raw], Path(folder) / "jets.root", "jetclass")
        with open_source(Path(folder) / "jets.root") as source:
            back = source.read()
    assert back.class_names == raw.class_names
    np.testing.assert_array_equal(back.labels, raw.labels)
    np.testing.assert_array_equal(back.offsets, raw.offsets)
    for name, values in {**raw.constituents, **raw.jets}.items():
        stored = back.constituents.get(name, back.jets.get(name))
        assert stored is not None
        assert stored.dtype == values.dtype
        assert _bits(stored) == _bits(values), name


@settings(max_examples=25)
@given(raw_jets(("g", "q", "W", "Z", "t")))
def test_hls4ml(raw: RawJets) -> None:
    expected = {feature.name: feature.values(raw) for feature in FEATURE_SETS["hls4ml-16"].features}
    order = np.lexsort((-expected["pt"], raw.jet_of))
    with TemporaryDirectory() as folder:
        written = write_layout([raw], Path(folder) / "out", "hls4ml")
        with open_source(written.paths[0]) as source:
            back = source.read()
    np.testing.assert_array_equal(back.labels, raw.labels)
    np.testing.assert_array_equal(back.offsets, raw.offsets)
    for name, values in expected.items():
        stored = back.constituents["energy" if name == "e" else name]
        assert _bits(stored) == _bits(values[order]), name
    for name in ("jet_pt", "jet_eta", "jet_sdmass"):
        assert _bits(back.jets[name]) == _bits(raw.jets[name].astype(np.float64)), name
