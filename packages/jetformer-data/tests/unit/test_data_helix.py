"""Paths through the tracker, against circles worked out by hand and a path followed in small steps."""

from __future__ import annotations

import numpy as np
import pytest

from jetformer_data.particles import Particles
from jetformer_data.simulation.helix import Cylinder, propagate

TRACKER = Cylinder(radius=1.29, half_length=3.0, field=3.8)
PION, PHOTON = 211, 22


def particle(
    pdg_id: int, pt: float, eta: float, phi: float, vertex: tuple[float, float, float] = (0, 0, 0)
) -> Particles:
    one = np.ones(1)
    return Particles(
        np.zeros(1, np.int64),
        np.array([pdg_id]),
        pt * one,
        eta * one,
        phi * one,
        pt * np.cosh(eta) * one,
        np.zeros((1, 2, 2)),
        vertex=np.array([vertex], float),
    )


def test_a_photon_flies_straight() -> None:
    path = propagate(particle(PHOTON, 5, 0.7, 2.5), TRACKER)
    assert (path.exit_eta[0], path.exit_phi[0]) == pytest.approx((0.7, 2.5))
    # From (500, 0, 0) mm along y it meets the barrel at y = sqrt(1.29^2 - 0.5^2) m.
    path = propagate(particle(PHOTON, 5, 0.0, np.pi / 2, (500, 0, 0)), TRACKER)
    assert path.exit_phi[0] == pytest.approx(np.arccos(0.5 / 1.29))


@pytest.mark.parametrize("charge", (1, -1))
def test_a_pion_turns_with_the_sign_of_its_charge(charge: int) -> None:
    path = propagate(particle(charge * PION, 2.0, 0.3, 1.0), TRACKER)
    radius = 2.0 / (0.299792458 * 3.8)
    # The chord of length 1.29 m to the barrel lies at half the angle of its arc; a positive charge turns clockwise.
    assert path.exit_phi[0] == pytest.approx(1.0 - charge * np.arcsin(1.29 / 2 / radius))
    assert (path.d0[0], path.dz[0]) == pytest.approx((0, 0), abs=1e-6)


def test_a_slow_pion_curls_up_to_the_end() -> None:
    path = propagate(particle(PION, 0.5, 0.3, 1.0), TRACKER)  # 2 r = 0.88 m < 1.29 m
    assert path.exit_eta[0] > 1.9  # at z = 3 m, within 0.88 m of the beam
    assert propagate(particle(PION, 0.5, -0.3, 1.0), TRACKER).exit_eta[0] < -1.9


def test_impact_parameters_by_hand() -> None:
    # Fast enough to be straight: from (3, 4, 5) mm along x, the beam is passed at x = 0, y = 4.
    path = propagate(particle(PION, 1e6, 0.0, 0.0, (3, 4, 5)), TRACKER)
    assert path.d0[0] == pytest.approx(-4, rel=1e-4)  # x py - y px
    assert path.dz[0] == pytest.approx(5)
    assert propagate(particle(PION, 1e6, 0.0, 0.0, (3, -4, 5)), TRACKER).d0[0] == pytest.approx(4, rel=1e-4)
    # Along x with eta 1, z falls by 3 mm sinh(1) on the way back to the closest point.
    path = propagate(particle(PION, 1e6, 1.0, 0.0, (3, 4, 5)), TRACKER)
    assert path.dz[0] == pytest.approx(5 - 3 * np.sinh(1), rel=1e-4)


@pytest.mark.parametrize(("pdg_id", "phi"), ((PION, 0.4), (-PION, 2.9), (PION, -2.0)))
def test_a_bent_path_agrees_with_small_steps(pdg_id: int, phi: float) -> None:
    given = particle(pdg_id, 1.5, 0.6, phi, (30, -20, 7))
    path = propagate(given, TRACKER)
    step, steps = 1e-5, 60_000  # m along the transverse path, backwards and forwards of the vertex
    turn = -np.sign(pdg_id) * 0.299792458 * 3.8 / 1.5
    s = step * np.arange(-steps, steps)
    direction = phi + turn * (s + step / 2)
    x, y = np.cumsum(step * np.cos(direction)), np.cumsum(step * np.sin(direction))
    x, y = x - x[steps - 1] + 0.030, y - y[steps - 1] - 0.020
    near = np.argmin(np.hypot(x, y))
    px, py = np.cos(direction[near]), np.sin(direction[near])
    assert path.d0[0] == pytest.approx(1000 * (x[near] * py - y[near] * px), abs=0.03)
    assert path.dz[0] == pytest.approx(7 + 1000 * s[near] * np.sinh(0.6), abs=0.1)
    assert path.phi[0] == pytest.approx(np.arctan2(py, px), abs=1e-3)


def test_what_is_made_outside_is_not_inside() -> None:
    assert not propagate(particle(PION, 5, 0.0, 0.0, (1291, 0, 0)), TRACKER).inside[0]
    assert not propagate(particle(PHOTON, 5, 0.0, 0.0, (0, 0, -3001)), TRACKER).inside[0]
    assert propagate(particle(PION, 5, 0.0, 0.0, (1289, 0, 2999)), TRACKER).inside[0]
