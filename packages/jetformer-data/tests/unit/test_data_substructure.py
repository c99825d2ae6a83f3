"""Soft drop and N-subjettiness against a plain Cambridge/Aachen loop, and against jets worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from jetformer_data.jets import offsets_of
from jetformer_data.raw import RawJets
from jetformer_data.simulation import substructure
from jetformer_data.simulation.substructure import n_subjettiness, soft_drop_mass, with_substructure

pytest.importorskip("fastjet", reason="needs the extra 'generate'")

RADIUS = 0.8


def jets_of(*jets: list[tuple[float, float, float]]) -> RawJets:
    """Jets of massless constituents (pt, eta, phi)."""
    pt, eta, phi = np.array([constituent for jet in jets for constituent in jet], float).reshape(-1, 3).T
    offsets = offsets_of(np.array([len(jet) for jet in jets]))
    return RawJets({"pt": pt, "eta": eta, "phi": phi}, offsets, np.zeros(len(jets), np.int64), ("any",))


def random_jets(jets: int, seed: int) -> RawJets:
    """Jets of two to three prongs with 5 to 40 constituents around phi = pi."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(jets):
        prongs = rng.uniform(-0.5, 0.5, (rng.integers(2, 4), 2))
        count = rng.integers(5, 41)
        place = prongs[rng.integers(len(prongs), size=count)] + rng.normal(scale=0.1, size=(count, 2))
        phi = (place[:, 1] + 2 * np.pi) % (2 * np.pi) - np.pi
        made.append(list(zip(rng.exponential(20, count) + 0.5, place[:, 0] + 0.7, phi, strict=True)))
    return jets_of(*made)


def momenta(raw: RawJets, jet: int) -> np.ndarray:
    rows = slice(raw.offsets[jet], raw.offsets[jet + 1])
    return np.stack([raw.column(name)[rows] for name in ("px", "py", "pz", "energy")], axis=1)


def plane(p: np.ndarray) -> tuple[float, float]:
    return np.arctanh(p[2] / p[3]), np.arctan2(p[1], p[0])


def distance(a: np.ndarray, b: np.ndarray) -> float:
    (y1, phi1), (y2, phi2) = plane(a), plane(b)
    return np.hypot(y1 - y2, (phi1 - phi2 + np.pi) % (2 * np.pi) - np.pi)


def groomed_mass(particles: np.ndarray) -> float:
    """Soft drop by the letter: pair the closest until one is left, then undo."""
    trees = [(p, None) for p in particles]
    while len(trees) > 1:
        pairs = [(i, j) for i in range(len(trees)) for j in range(i)]
        i, j = min(pairs, key=lambda pair: distance(trees[pair[0]][0], trees[pair[1]][0]))
        a, b = trees.pop(i), trees.pop(j)
        trees.append((a[0] + b[0], (a, b)))
    p, children = trees[0]
    while children is not None:
        soft, hard = sorted(children, key=lambda tree: np.hypot(*tree[0][:2]))
        pt = [np.hypot(*tree[0][:2]) for tree in (soft, hard)]
        if pt[0] / sum(pt) > 0.1:
            break
        p, children = hard
    return float(np.sqrt(max(p[3] ** 2 - p[0] ** 2 - p[1] ** 2 - p[2] ** 2, 0)))


def test_soft_drop_agrees_with_a_plain_loop() -> None:
    raw = random_jets(12, seed=3)
    expected = [groomed_mass(momenta(raw, jet)) for jet in range(12)]
    np.testing.assert_allclose(soft_drop_mass(raw, RADIUS), expected, rtol=1e-5, atol=1e-3)


def test_soft_drop_by_hand() -> None:
    # 5 GeV far away are dropped (5 % of the pt), the pair of 50 GeV stays: m^2 = 2 pt^2 (cosh(0.3) - 1).
    pair = [(50, 0.0, 0.0), (50, 0.3, 0.0)]
    soft = (5, 0.1, 0.7)
    expected = 50 * np.sqrt(2 * (np.cosh(0.3) - 1))
    masses = soft_drop_mass(jets_of([*pair, soft], pair, []), RADIUS)
    assert masses == pytest.approx([expected, expected, 0], rel=1e-6)


def test_tau_by_hand() -> None:
    # One axis: the geometric median lies on the heavier of two particles, so 30 GeV are 0.4 away from it.
    two = [(70.0, 0.0, 3.1), (30.0, 0.4, 3.1)]
    # Across phi = pi: 2 pi - 6.2 + 0.1 away.
    across = [(70.0, 0.0, 3.1), (30.0, 0.0, -3.1)]
    tau = n_subjettiness(jets_of(two, across, [(5.0, 0.0, 0.0)]), 1, RADIUS)
    assert tau == pytest.approx([0.3 * 0.4 / 0.8, 0.3 * (2 * np.pi - 6.2) / 0.8, 0], rel=1e-3)


def test_as_many_axes_as_constituents_leave_nothing() -> None:
    raw = jets_of([(70.0, 0.0, 3.1), (30.0, 0.4, 3.1)], [(7.0, 0.0, 0.1)])
    assert n_subjettiness(raw, 2, RADIUS).tolist() == [0, 0]
    assert with_substructure(raw, RADIUS).column("jet_tau4").tolist() == [0, 0]


@pytest.mark.parametrize("axes", (1, 2, 3))
def test_moved_axes_are_better_than_those_of_kt(monkeypatch: pytest.MonkeyPatch, axes: int) -> None:
    raw = random_jets(40, seed=5)
    moved = n_subjettiness(raw, axes, RADIUS)
    monkeypatch.setattr(substructure, "_MOVES", 0)
    unmoved = n_subjettiness(raw, axes, RADIUS)
    assert (moved <= unmoved + 1e-12).all()
    assert np.median(moved / unmoved) < 0.99


def test_one_axis_is_at_the_minimum() -> None:
    raw = random_jets(5, seed=5)
    tau, grid = n_subjettiness(raw, 1, RADIUS), np.linspace(-0.2, 0.2, 41)
    for jet in range(5):
        p = momenta(raw, jet)
        pt, place = np.hypot(p[:, 0], p[:, 1]), np.array([plane(q) for q in p])
        place[:, 1] %= 2 * np.pi  # the jets lie around pi
        centre = np.average(place, axis=0, weights=pt)
        trials = np.stack(np.meshgrid(*(centre[:, None] + grid)), axis=-1).reshape(-1, 2)
        sums = (pt * np.linalg.norm(place - trials[:, None], axis=2)).sum(axis=1)
        least = sums.min() / pt.sum() / RADIUS  # on a grid of 0.01
        assert 0.99 * least < tau[jet] <= least * (1 + 1e-6)


def test_more_axes_are_closer() -> None:
    jets = with_substructure(random_jets(40, seed=9), RADIUS)
    taus = np.stack([jets.column(f"jet_tau{n}") for n in (1, 2, 3, 4)])
    assert (np.diff(np.median(taus, axis=1)) < 0).all()
    assert (taus >= 0).all()
    assert set(jets.constituents) == {"pt", "eta", "phi"}
