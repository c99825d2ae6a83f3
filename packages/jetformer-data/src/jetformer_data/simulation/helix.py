"""Paths of particles through the tracker: where they leave it, and how far from the beam they began.

The tracker is a cylinder in a field along z. A charged particle turns on a circle of signed radius
r = pt / (0.299792458 q B) (GeV, T, m); at angle phi of its momentum it is at (xc - r sin(phi), yc + r cos(phi)), and
z grows by pz / pt times the length of its path in the transverse plane.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from jetformer_data.jets import wrap_phi
from jetformer_data.particles import Particles, charges_of

Array = NDArray[np.float64]
_LIGHT = 0.299792458  # GeV / (T m)
_STRAIGHT = 1e6  # radius in m of a path that does not bend


@dataclass(frozen=True)
class Cylinder:
    """radius and half_length in m, field in T."""

    radius: float
    half_length: float
    field: float


@dataclass(frozen=True, eq=False)
class Paths:
    """One entry a particle.

    inside      whether it began inside the cylinder
    exit_eta, exit_phi   where it leaves the cylinder, seen from the origin
    phi         of its momentum at the point closest to the beam
    d0, dz      transverse and longitudinal distance of that point, mm; d0 = (x py - y px) / pt
    """

    inside: NDArray[np.bool_]
    exit_eta: Array
    exit_phi: Array
    phi: Array
    d0: Array
    dz: Array

    def select(self, chosen: NDArray[np.bool_]) -> Paths:
        """The paths where `chosen` is True."""
        return Paths(*(getattr(self, column.name)[chosen] for column in fields(self)))


def propagate(particles: Particles, cylinder: Cylinder) -> Paths:
    """The paths of particles from their vertices; without vertices, all come from the origin."""
    vertex = np.zeros((len(particles.pt), 3)) if particles.vertex is None else particles.vertex
    x, y, z = vertex.T / 1000
    inside = (np.hypot(x, y) <= cylinder.radius) & (np.abs(z) <= cylinder.half_length)
    charge = charges_of(particles.pdg_id)
    bend = _LIGHT * cylinder.field * np.where(charge == 0, 1, charge)
    r = np.where(charge == 0, _STRAIGHT, particles.pt / bend)
    slope = np.sinh(particles.eta)

    # The centre of the circle, and the point of the circle that is closest to the beam.
    xc, yc = x + r * np.sin(particles.phi), y - r * np.cos(particles.phi)
    far = np.hypot(xc, yc)
    near_phi = np.arctan2(np.sign(r) * xc, -np.sign(r) * yc)
    since_near = r * wrap_phi(particles.phi - near_phi)
    d0 = np.sign(r) * (far - np.abs(r))

    # It leaves through the barrel where its circle reaches that far, else through an end.
    # Half of the angle from the closest point to the barrel, in a form that stays exact for straight paths.
    sine2 = (cylinder.radius**2 - (far - np.abs(r)) ** 2) / (4 * np.abs(r) * far)
    turn = np.where(sine2 < 1, 2 * np.arcsin(np.sqrt(np.clip(sine2, 0, 1))), np.inf)
    to_barrel = since_near + np.abs(r) * turn
    to_end = (np.copysign(cylinder.half_length, slope) - z) / np.where(slope == 0, 1e-12, slope)
    length = np.minimum(to_barrel, to_end)
    exit_direction = particles.phi - length / r
    exit_x, exit_y = xc - r * np.sin(exit_direction), yc + r * np.cos(exit_direction)
    exit_z = z + slope * length
    return Paths(
        inside,
        np.arcsinh(exit_z / np.maximum(np.hypot(exit_x, exit_y), 1e-9)),
        np.arctan2(exit_y, exit_x),
        near_phi,
        1000 * d0,
        1000 * (z + slope * since_near),
    )
