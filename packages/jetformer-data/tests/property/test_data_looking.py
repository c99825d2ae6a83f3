"""What holds of histograms, duplicates and verdicts for any jets."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from jetformer_data.histograms import Histogram, edges_between, edges_for
from jetformer_data.jets import offsets_of
from jetformer_data.looking.checks import RuleCheck
from jetformer_data.looking.duplicates import DuplicateFinder, content_hashes
from jetformer_data.looking.rules import RULES
from jetformer_data.raw import RawJets, concatenate

finite = st.floats(-1e6, 1e6, allow_nan=False)
multiplicities = st.lists(st.integers(0, 6), min_size=1, max_size=12)


def jets_of(counts: list[int], seed: int, classes: int = 3) -> RawJets:
    rng = np.random.default_rng(seed)
    offsets = offsets_of(np.array(counts))
    columns = {name: rng.normal(size=offsets[-1]) for name in ("etarel", "phirel")}
    columns["pt"] = np.sort(rng.exponential(10, offsets[-1]))[::-1]
    labels = rng.integers(0, classes, len(counts))
    return RawJets(columns, offsets, labels, tuple("abc"[:classes]))


def filled(raw: RawJets, edges: np.ndarray) -> Histogram:
    histogram = Histogram.empty("x", "", edges, len(raw.class_names), "constituents")
    histogram.fill(raw.column("etarel"), raw.jet_of, raw.labels)
    return histogram


@given(multiplicities, multiplicities, st.integers(0, 1000))
def test_pieces_fill_what_the_whole_fills(first: list[int], second: list[int], seed: int) -> None:
    parts, edges = [jets_of(first, seed), jets_of(second, seed + 1)], np.linspace(-2, 2, 6)
    whole, pieces = filled(concatenate(parts), edges), Histogram.empty("x", "", edges, 3)
    for raw in parts:
        pieces.fill(raw.column("etarel"), raw.jet_of, raw.labels)
    np.testing.assert_array_equal(pieces.counts, whole.counts)
    np.testing.assert_array_equal(pieces.entries, whole.entries)
    np.testing.assert_allclose(pieces.error(), whole.error(), atol=1e-6)


@given(multiplicities, st.integers(0, 1000), st.integers(2, 5))
def test_repeating_every_jet_leaves_shares_and_shrinks_errors(
    counts: list[int], seed: int, times: int
) -> None:
    raw, edges = jets_of(counts, seed), np.linspace(-2, 2, 6)
    once, often = filled(raw, edges), filled(concatenate([raw] * times), edges)
    np.testing.assert_allclose(often.density(), once.density())
    np.testing.assert_allclose(often.error(), once.error() / np.sqrt(times), atol=1e-6)
    assert (once.density().sum(axis=1) <= 1 + 1e-12).all()


@given(st.lists(finite, min_size=1, max_size=50), st.integers(5, 60))
def test_edges_rise_and_hold_nearly_all(values: list[float], bins: int) -> None:
    array = np.array(values)
    edges = edges_for(array, bins)
    assert (np.diff(edges) > 0).all()
    assert 1 <= len(edges) - 1 <= 2.2 * bins + 3
    low, high = np.percentile(array, [0.1, 99.9])
    slack = 1e-6 * max(1.0, abs(low), abs(high))
    assert edges[0] <= low + slack
    assert edges[-1] >= high - slack


@given(st.floats(-1e3, 1e3), st.floats(1e-3, 1e3), st.integers(5, 60))
def test_edges_between_two_numbers_enclose_them(low: float, width: float, bins: int) -> None:
    edges = edges_between(low, low + width, bins)
    step = edges[1] - edges[0]
    assert edges[0] <= low + 1e-6 * step
    assert edges[-1] >= low + width - 1e-6 * step
    assert edges[0] > low - 1.001 * step


@given(multiplicities, st.integers(0, 1000), st.data())
@settings(max_examples=50)
def test_every_repeated_jet_is_found(counts: list[int], seed: int, data: st.DataObject) -> None:
    raw = jets_of(counts, seed)
    again = data.draw(st.lists(st.integers(0, len(raw) - 1), max_size=6))
    everything = raw.select(np.r_[np.arange(len(raw)), np.array(again, int)])
    with DuplicateFinder() as finder:
        for start in range(0, len(everything), 3):
            finder.add(everything.select(np.arange(start, min(start + 3, len(everything)))), start)
        found = finder.repeated()
    full = [jet for jet in again if counts[jet]]
    assert found.jets == len(full)
    assert found.relabelled == 0
    if full:
        place = len(raw) + next(k for k, jet in enumerate(again) if counts[jet])
        assert found.first == (place, again[place - len(raw)])


@given(multiplicities, st.integers(0, 1000))
def test_the_hash_is_of_the_set_of_constituents(counts: list[int], seed: int) -> None:
    raw = jets_of(counts, seed)
    order = np.lexsort((np.random.default_rng(seed).random(raw.offsets[-1]), raw.jet_of))
    mixed = replace(raw, constituents={name: values[order] for name, values in raw.constituents.items()})
    np.testing.assert_array_equal(content_hashes(mixed), content_hashes(raw))


@given(multiplicities.filter(any), st.integers(0, 1000), st.data())
def test_a_rule_counts_what_breaks_it_and_names_the_first(
    counts: list[int], seed: int, data: st.DataObject
) -> None:
    raw = jets_of(counts, seed)
    rows = int(raw.offsets[-1])
    bad = sorted(data.draw(st.sets(st.integers(0, rows - 1), max_size=5)))
    pt = np.array(raw.constituents["pt"])
    pt[bad] = -1
    check = RuleCheck(next(rule for rule in RULES if rule.name == "pt"))
    check.see(replace(raw, constituents={**raw.constituents, "pt": pt}), 100)
    verdict = check.verdict()
    assert verdict.count == len(bad)
    assert verdict.level == ("FAIL" if bad else "ok")
    if bad:
        assert verdict.jet == 100 + int(raw.jet_of[bad[0]])
