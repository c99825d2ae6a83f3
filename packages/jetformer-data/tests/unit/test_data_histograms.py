"""Histograms: counts, shares, and errors that know which constituents belong to one jet."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from jetformer_data import schema
from jetformer_data.distributions import compare, distributions
from jetformer_data.errors import DataError
from jetformer_data.features import FEATURE_SETS, to_jets
from jetformer_data.histograms import Histogram, edges_between, edges_for, ratio
from jetformer_data.layouts import write_layout
from jetformer_data.looking.quantities import complete
from jetformer_data.raw import RawJets
from jetformer_data.sources import open_source
from jetformer_data.testing import example_jets

EDGES = np.array([0.0, 1.0, 2.0, 4.0])


def test_counts_by_hand() -> None:
    histogram = Histogram.empty("x", "GeV", EDGES, 2)
    values = np.array([0.0, 0.5, 1.0, 4.0, 4.1, -0.1, np.nan])
    histogram.fill(values, np.array([0, 0, 1, 1, 1, 2, 2]), np.array([1, 0, 1]))
    np.testing.assert_array_equal(histogram.counts, [[0, 1, 1], [2, 0, 0]])
    np.testing.assert_array_equal(histogram.entries, [3, 4])
    np.testing.assert_allclose(histogram.density(), [[0, 1 / 3, 1 / 3], [0.5, 0, 0]])


def test_error_of_one_entry_a_jet_is_binomial() -> None:
    histogram = Histogram.empty("x", "", EDGES, 1)
    values = np.repeat([0.5, 1.5, 3.0, 9.0], [10, 20, 30, 40])
    histogram.fill(values, np.arange(100), np.zeros(100, int))
    share = np.array([0.1, 0.2, 0.3])
    np.testing.assert_allclose(histogram.error()[0], np.sqrt(share * (1 - share) / 100))


def test_error_is_the_scatter_between_samples_of_jets() -> None:
    rng = np.random.default_rng(5)

    def sample(jets: int) -> Histogram:
        histogram = Histogram.empty("x", "", np.linspace(0, 1, 6), 1)
        counts = rng.poisson(10, jets) + 1
        jet_of = np.repeat(np.arange(jets), counts)
        # the constituents of a jet lie close together, so that there are far fewer independent entries than entries
        values = np.clip(rng.random(jets)[jet_of] + 0.02 * rng.normal(size=len(jet_of)), 0, 1)
        histogram.fill(values, jet_of, np.zeros(jets, int))
        return histogram

    scatter = np.std([sample(200).density()[0] for _ in range(400)], axis=0)
    told = np.mean([sample(200).error()[0] for _ in range(50)], axis=0)
    np.testing.assert_allclose(told, scatter, rtol=0.12)
    naive = np.sqrt(0.2 * 0.8 / (200 * 11))
    assert told.min() > 2.5 * naive


def test_ratio_and_its_error() -> None:
    above, below = (Histogram.empty("x", "", EDGES, 1) for _ in range(2))
    above.fill(np.repeat([0.5, 1.5], [30, 70]), np.arange(100), np.zeros(100, int))
    below.fill(np.repeat([0.5, 1.5, 3.0], [40, 40, 20]), np.arange(100), np.zeros(100, int))
    value, error = ratio(above, below, 0, 0)
    np.testing.assert_allclose(value[:2], [0.75, 1.75])
    assert np.isnan(value[2])
    relative = np.sqrt(0.7 / 30 + 0.6 / 40)
    assert error[0] == pytest.approx(0.75 * relative)


@pytest.mark.parametrize(
    ("values", "expected"),
    (
        (np.array([0.0, 1.0, 1.0]), [-0.5, 0.5, 1.5]),
        (np.array([-1.0, 0.0, 1.0]), [-1.5, -0.5, 0.5, 1.5]),
        (np.array([2.5, 2.5]), np.linspace(2.25, 2.75, 11)),
        (np.array([np.nan]), np.linspace(0, 1, 11)),
        (np.array([0.0, 0.1, 100.0]), np.arange(0, 101, 10)),
    ),
)
def test_edges_fit_the_values(values: np.ndarray, expected: list[float]) -> None:
    np.testing.assert_allclose(edges_for(values, 10), expected, atol=1e-12)


def test_edges_are_round_numbers() -> None:
    np.testing.assert_allclose(edges_between(0, 300, 60), np.arange(0, 301, 5))
    np.testing.assert_allclose(edges_between(949, 1051, 20), np.arange(945, 1056, 5))


def test_every_jet_and_all_momentum_are_counted(tmp_path: Path) -> None:
    jets = example_jets(101, seed=1, empty=1)
    schema.write(tmp_path / "jets.h5", jets)
    shown = distributions(tmp_path / "jets.h5", half_width=2.0)
    assert list(shown.histograms) == ["jet_mass", "jet_pt", "multiplicity"]
    assert shown.jets.tolist() == np.bincount(jets.labels).tolist()
    assert shown.histograms["multiplicity"].entries.sum() == 101
    pt = np.bincount(np.repeat(jets.labels, jets.multiplicity), jets.column("pt"))
    np.testing.assert_allclose(shown.images.sum(axis=(1, 2)), pt / shown.jets, rtol=1e-5)
    assert shown.image_entries.sum() == len(jets.constituents)
    assert shown.images[3].argmax() // 50 in range(15, 35)
    assert distributions(tmp_path / "jets.h5", jets=20).jets.sum() == 20


def test_two_files_share_their_edges(tmp_path: Path) -> None:
    schema.write(tmp_path / "a.h5", example_jets(100, seed=1))
    schema.write(tmp_path / "b.h5", example_jets(40, seed=2))
    a, b = compare([tmp_path / "a.h5", tmp_path / "b.h5"])
    assert list(a.features) == ["pt", "etarel", "phirel"]
    for kind in ("histograms", "features"):
        assert getattr(a, kind).keys() == getattr(b, kind).keys()
        for name, histogram in getattr(a, kind).items():
            np.testing.assert_array_equal(histogram.edges, getattr(b, kind)[name].edges)
    np.testing.assert_array_equal(a.image_edges, b.image_edges)
    assert "leading_delta_r" in a.histograms
    assert a.histograms["leading_delta_r"].entries.sum() == 8 * 100


def test_leading_constituents_are_those_with_the_most_pt() -> None:
    raw = RawJets(
        {"pt": np.arange(1.0, 11), "etarel": np.linspace(0.1, 1, 10), "phirel": np.zeros(10)},
        np.array([0, 10]),
        np.zeros(1, int),
        ("q",),
    )
    from jetformer_data.looking.quantities import JET_QUANTITIES

    (leading,) = (q for q in JET_QUANTITIES if q.name == "leading_delta_r")
    values, jet_of = leading.formula(complete(raw))
    np.testing.assert_allclose(sorted(values), np.linspace(0.3, 1, 8))
    assert jet_of.tolist() == [0] * 8


def test_standard_features_give_back_momenta_and_angles() -> None:
    rng = np.random.default_rng(3)
    counts = np.array([5, 7])
    pt, phi = np.sort(rng.exponential(20, 12))[::-1], 0.1 * rng.normal(size=12)
    eta = np.repeat([1.2, -0.7], counts) + 0.1 * rng.normal(size=12)
    columns = {"pt": pt, "eta": eta, "phi": phi}
    raw = RawJets(columns, np.array([0, 5, 12]), np.array([0, 1]), ("a", "b"))
    jets, _ = to_jets(raw, FEATURE_SETS["jetclass-kin"])
    stored = RawJets(
        {name: jets.column(name) for name in jets.feature_names},
        jets.offsets,
        jets.labels,
        jets.class_names,
        {name: jets.jet_column(name) for name in jets.jet_feature_names},
    )
    back, order = complete(stored), np.lexsort((-pt, raw.jet_of))
    for name in ("pt", "etarel", "phirel", "eta"):
        np.testing.assert_allclose(back.column(name), raw.column(name)[order], atol=1e-5, rtol=1e-5)


def test_a_file_without_jets_is_refused(tmp_path: Path) -> None:
    schema.write(tmp_path / "none.h5", example_jets(10).select(np.zeros(10, bool)))
    with pytest.raises(DataError, match="holds no jets"):
        distributions(tmp_path / "none.h5")


def test_features_are_computed_for_the_file_that_lacks_them(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    counts = rng.integers(3, 9, 40)
    offsets = np.r_[0, np.cumsum(counts)]
    axis, spread = (
        np.repeat(rng.uniform(-2, 2, (2, 40)), counts, axis=1),
        0.1 * rng.normal(size=(2, offsets[-1])),
    )
    pt, (eta, phi) = rng.exponential(20, offsets[-1]) + 1, axis + spread
    p4 = np.stack([pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta), pt * np.cosh(eta)], axis=1)
    labels = np.arange(40) % 2
    np.savez(tmp_path / "p4.npz", p4=p4, offsets=offsets, labels=labels, classes=np.array(["q", "g"]))
    momenta = {name: p4[:, k] for k, name in enumerate(("px", "py", "pz", "energy"))}
    jets, _ = to_jets(RawJets(momenta, offsets, labels, ("q", "g")), FEATURE_SETS["jetclass-kin"])
    schema.write(tmp_path / "kin.h5", jets)
    stored, computed = compare([tmp_path / "kin.h5", tmp_path / "p4.npz"])
    assert tuple(stored.features) == FEATURE_SETS["jetclass-kin"].names
    for group in ("histograms", "features"):
        for name, histogram in getattr(stored, group).items():
            here, there = histogram.counts, getattr(computed, group)[name].counts
            # a value at an edge may fall to either side when it was rounded to float32
            assert np.abs(here - there).sum() <= 0.02 * here.sum() + 2, name
    np.testing.assert_allclose(stored.images.sum(), computed.images.sum(), rtol=1e-4)
    # the file of four-vectors comes with the features of its format
    (alone,) = compare([tmp_path / "p4.npz"])
    assert tuple(alone.features) == FEATURE_SETS["p4-7"].names
    (none,) = compare([tmp_path / "p4.npz"], features=None)
    assert none.features == {}


def test_axes_grow_where_many_values_lie_beyond_their_usual_ends(tmp_path: Path) -> None:
    jets = example_jets(60, seed=1)
    jets.jet_features[:, 3] *= 10  # type: ignore[index]
    schema.write(tmp_path / "heavy.h5", jets)
    mass = distributions(tmp_path / "heavy.h5").histograms["jet_mass"]
    assert mass.edges[-1] > 1500
    assert mass.counts.sum() >= 0.98 * mass.entries.sum()


def test_files_in_published_layouts_are_drawn_with_their_own_features(tmp_path: Path) -> None:
    jets = example_jets(60, seed=1)
    schema.write(tmp_path / "jets.h5", jets)
    with open_source(tmp_path / "jets.h5") as source:
        (path,) = write_layout(source.chunks(), tmp_path / "published", "hls4ml").paths
    ours, theirs = compare([tmp_path / "jets.h5", path])
    assert tuple(theirs.features) == ("pt", "etarel", "phirel")
    # the mass after soft drop is in the layout, but nobody has computed it here
    assert "jet_sdmass" not in theirs.histograms
    for name, histogram in ours.histograms.items():
        np.testing.assert_array_equal(theirs.histograms[name].entries, histogram.entries)
        assert np.abs(theirs.histograms[name].counts - histogram.counts).sum() <= 4, name
    (alone,) = compare([path])
    assert tuple(alone.features) == FEATURE_SETS["hls4ml-16"].names
