"""What holds for any jets."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from jetformer_data import schema
from jetformer_data.jets import Jets, offsets_of, wrap_phi
from jetformer_data.kinematics import jet_axis_features
from jetformer_data.padding import padded
from jetformer_data.statistics import Welford
from jetformer_data.testing import example_jets
from jetformer_data.validation import validate


@st.composite
def ragged_jets(draw: st.DrawFn) -> Jets:
    counts = np.array(draw(st.lists(st.integers(0, 7), min_size=1, max_size=11)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    jet = np.repeat(np.arange(len(counts)), counts)
    pt = rng.exponential(5, len(jet))
    rows = np.stack([pt[np.lexsort((-pt, jet))], *rng.normal(size=(2, len(jet)))], axis=1)
    return Jets(
        rows.astype(np.float32),
        offsets_of(counts),
        rng.integers(3, size=len(counts)),
        ("pt", "etarel", "phirel"),
        ("GeV", "1", "rad"),
        ("a", "b", "c"),
    )


@given(st.floats(-1e3, 1e3), st.integers(-50, 50))
def test_phi_wraps(phi: float, turns: int) -> None:
    wrapped = wrap_phi(np.array(phi))
    assert -np.pi <= wrapped < np.pi
    difference = wrap_phi(np.array(phi + 2 * np.pi * turns)) - wrapped
    assert min(abs(difference), abs(abs(difference) - 2 * np.pi)) < 1e-9


@given(ragged_jets(), st.floats(-10, 10), st.floats(-2, 2))
def test_mass_does_not_depend_on_the_axis(jets: Jets, phi: float, eta: float) -> None:
    axis = np.zeros(len(jets))
    here = jet_axis_features(jets.constituents, jets.offsets, axis, axis)
    there = jet_axis_features(jets.constituents, jets.offsets, axis + eta, axis + phi)
    np.testing.assert_allclose(there[:, 0], here[:, 0], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(there[:, 3], here[:, 3], rtol=1e-3, atol=1e-2)


@given(ragged_jets(), st.integers(1, 9), st.integers(0, 5), st.floats(0, 8))
def test_more_padding_adds_only_padding(jets: Jets, constituents: int, more: int, min_pt: float) -> None:
    x, mask = padded(jets, constituents, min_pt=min_pt)
    wide_x, wide_mask = padded(jets, constituents + more, min_pt=min_pt)
    np.testing.assert_array_equal(wide_x[:, :constituents], x)
    np.testing.assert_array_equal(wide_mask[:, :constituents], mask)
    assert not x[~mask].any()


@given(ragged_jets(), st.integers(1, 9), st.floats(0, 8))
def test_padding_agrees_with_a_loop(jets: Jets, constituents: int, min_pt: float) -> None:
    x, mask = padded(jets, constituents, min_pt=min_pt)
    for j in range(len(jets)):
        rows = jets.constituents[jets.offsets[j] : jets.offsets[j + 1]]
        kept = rows[rows[:, 0] >= min_pt][:constituents]
        np.testing.assert_array_equal(x[j][mask[j]], kept)
        assert mask[j].tolist() == [True] * len(kept) + [False] * (constituents - len(kept))


@given(ragged_jets(), st.randoms())
def test_selecting_in_any_order_keeps_each_jet_whole(jets: Jets, random: object) -> None:
    order = np.arange(len(jets))
    random.shuffle(order)  # type: ignore[attr-defined]
    chosen = jets.select(order)
    validate(chosen)
    for new, old in enumerate(order):
        np.testing.assert_array_equal(chosen.select([new]).constituents, jets.select([old]).constituents)


@settings(max_examples=25)
@given(ragged_jets(), st.integers(1, 5))
def test_files_give_back_any_jets(jets: Jets, chunk: int) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "jets.h5"
        schema.write(path, jets)
        with schema.Reader(path) as reader:
            parts = list(reader.chunks(chunk))
    np.testing.assert_array_equal(np.concatenate([part.constituents for part in parts]), jets.constituents)
    np.testing.assert_array_equal(np.concatenate([part.multiplicity for part in parts]), jets.multiplicity)


@given(arrays.arrays(np.float64, (13, 2), elements=st.floats(-1e3, 1e3)), st.integers(0, 13))
def test_the_order_of_blocks_does_not_matter(values: np.ndarray, cut: int) -> None:
    forward = Welford(2).update(values[:cut]).update(values[cut:])
    backward = Welford(2).update(values[cut:]).update(values[:cut])
    np.testing.assert_allclose(forward.mean, backward.mean, atol=1e-9)
    np.testing.assert_allclose(forward.std, backward.std, atol=1e-6)


@given(st.integers(1, 60), st.integers(0, 1000), st.integers(0, 3))
def test_example_jets_are_valid(count: int, seed: int, empty: int) -> None:
    validate(example_jets(count, seed, min(empty, count)))
