"""The detector of the JetClass style keeps energy, and paths keep the symmetries of a solenoid."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from jetformer_data.jets import wrap_phi
from jetformer_data.particles import Particles
from jetformer_data.simulation.energy_flow import ECAL, HCAL, EnergyFlow
from jetformer_data.simulation.helix import Paths, propagate

KINDS = (211, -211, 321, 22, 130, 2112, 11, -13)
SEEDS = st.integers(0, 2**32 - 1)


def particles(seed: int, count: int, kinds: tuple[int, ...] = KINDS) -> Particles:
    rng = np.random.default_rng(seed)
    pt, eta = rng.exponential(10, count) + 0.3, rng.uniform(-2, 2, count)
    return Particles(
        rng.integers(3, size=count),
        rng.choice(kinds, count),
        pt,
        eta,
        rng.uniform(-np.pi, np.pi, count),
        np.hypot(pt * np.cosh(eta), 0.14),
        np.zeros((3, 2, 2)),
        vertex=rng.normal(size=(count, 3)) * (20, 20, 50),
    )


def paths(given: Particles) -> Paths:
    return propagate(given, EnergyFlow().tracker)


def turned(given: Particles, angle: float) -> Particles:
    assert given.vertex is not None
    x, y, z = given.vertex.T
    vertex = np.stack(
        [x * np.cos(angle) - y * np.sin(angle), x * np.sin(angle) + y * np.cos(angle), z], axis=1
    )
    return replace(given, phi=wrap_phi(given.phi + angle), vertex=vertex)


@given(SEEDS, st.floats(-7, 7))
def test_paths_turn_with_the_particles(seed: int, angle: float) -> None:
    one, other = paths(particles(seed, 23)), paths(turned(particles(seed, 23), angle))
    for name in ("d0", "dz", "exit_eta"):
        np.testing.assert_allclose(getattr(other, name), getattr(one, name), rtol=1e-5, atol=1e-5)
    for name in ("phi", "exit_phi"):
        turn = wrap_phi(getattr(other, name) - getattr(one, name) - angle)
        np.testing.assert_allclose(turn, 0, atol=1e-6)


@given(SEEDS)
def test_mirrored_antiparticles_have_mirrored_paths(seed: int) -> None:
    charged = (211, -211, 321, 11, -13)
    one = particles(seed, 23, charged)
    assert one.vertex is not None
    other = replace(one, pdg_id=-one.pdg_id, phi=-one.phi, vertex=one.vertex * (1, -1, 1))
    a, b = paths(one), paths(other)
    np.testing.assert_allclose(b.d0, -a.d0, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(b.dz, a.dz, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(wrap_phi(b.exit_phi + a.exit_phi), 0, atol=1e-9)


@given(SEEDS, st.integers(1, 60), st.booleans())
@example(
    9, 10, False
)  # an electron of 0.7 GeV in the forward crystals, whose resolution is none of the four numbers
def test_energy_is_kept_where_nothing_is_lost(seed: int, count: int, tracked: bool) -> None:
    efficiencies = ((0.0, *([0.8 if tracked else 0.0] * 2)),)
    exact = {"constant": 0.0, "stochastic": 0.0, "noise": 0.0, "min_energy": 0.0}
    detector = EnergyFlow(
        hadron_efficiency=efficiencies,
        electron_efficiency=efficiencies,
        ecal=replace(ECAL, **exact, crystals=False),
        hcal=replace(HCAL, **exact),
    )
    given = particles(seed, count, (211, -211, 321, 22, 130, 11))
    kept = np.abs(paths(given).exit_eta) < HCAL.eta[-1]
    found = detector(given, np.random.default_rng(seed))
    for event in range(3):
        before = given.energy[kept & (given.event == event)].sum()
        np.testing.assert_allclose(found.energy[found.event == event].sum(), before, rtol=2e-2, atol=1e-9)


@given(SEEDS)
def test_no_candidate_is_nonsense(seed: int) -> None:
    found = EnergyFlow()(particles(seed, 60), np.random.default_rng(seed))
    assert found.impact is not None
    for values in (found.pt, found.eta, found.phi, found.energy, found.impact):
        assert np.isfinite(values).all()
    assert (found.pt > 0).all()
    assert (found.energy >= found.pt * np.cosh(found.eta) * (1 - 1e-12)).all()
    is_track = found.charge != 0
    assert not found.impact[~is_track].any()
    assert set(found.kind[~is_track]) <= {1, 2}
