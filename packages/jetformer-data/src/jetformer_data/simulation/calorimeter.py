"""Towers of a calorimeter, for a batch of events at once. Energies in GeV."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from jetformer_data.simulation.candidates import Array

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Calorimeter:
    """Towers and their resolution: sigma(E) = constant E (+) stochastic sqrt(E) (+) noise, (+) in quadrature.

    eta             edges of the towers above eta = 0, mirrored below
    fine_eta        up to this |eta| there are `across_phi` towers around phi, `across_phi_far` beyond
    min_energy      of a tower, and of a neutral excess in it
    significance    least energy of either, in units of sigma
    crystals        whether sigma grows with |eta| as that of CMS' crystals does (arXiv:1306.2016)
    """

    eta: tuple[float, ...]
    fine_eta: float
    across_phi: int
    across_phi_far: int
    constant: float
    stochastic: float
    noise: float
    min_energy: float
    significance: float
    crystals: bool = False

    def sigma(self, energy: Array, eta: Array) -> Array:
        """Resolution in GeV."""
        sigma = np.sqrt((self.constant * energy) ** 2 + self.stochastic**2 * energy + self.noise**2)
        if not self.crystals:
            return np.asarray(sigma)
        distance = np.abs(eta)
        shape = np.where(distance <= 1.5, 1 + 0.64 * distance**2, 2.16 + 5.6 * (distance - 2) ** 2)
        forward = np.sqrt((0.107 * energy) ** 2 + 2.08**2 * energy)
        return np.where(distance <= 2.5, shape * sigma, forward)

    def above_threshold(self, energy: Array, sigma: Array) -> NDArray[np.bool_]:
        """Whether an energy is more than noise."""
        return (energy > self.min_energy) & (energy > self.significance * sigma)


class Towers:
    """The towers of a batch of events that are hit: hit `i` lies in tower `of[i]`.

    event, row, column  int64 `[towers]`
    centre              eta `[towers]`
    """

    def __init__(self, calorimeter: Calorimeter, event: Indices, eta: Array, phi: Array) -> None:
        mirrored = [-edge for edge in reversed(calorimeter.eta[1:])]
        self.edges = np.array([*mirrored, *calorimeter.eta])
        outer = np.maximum(np.abs(self.edges[:-1]), np.abs(self.edges[1:]))
        is_fine = outer <= calorimeter.fine_eta
        self.across = np.where(is_fine, calorimeter.across_phi, calorimeter.across_phi_far)
        row = np.searchsorted(self.edges, eta) - 1
        turn = (phi + np.pi) / (2 * np.pi)
        column = np.minimum((turn * self.across[row]).astype(np.int64), self.across[row] - 1)
        key = (event * len(self.across) + row) * calorimeter.across_phi + column
        keys, self.of = np.unique(key, return_inverse=True)
        self.column = keys % calorimeter.across_phi
        self.event, self.row = np.divmod(keys // calorimeter.across_phi, len(self.across))

    def __len__(self) -> int:
        return len(self.event)

    @cached_property
    def centre(self) -> Array:
        """eta of the middle of each tower."""
        return (self.edges[self.row] + self.edges[self.row + 1]) / 2

    @property
    def centre_phi(self) -> Array:
        """phi of the middle of each tower."""
        return np.asarray((self.column + 0.5) / self.across[self.row] * 2 * np.pi - np.pi)

    def sum(self, energy: Array) -> Array:
        """Energy in each tower, from that of each hit."""
        return np.bincount(self.of, energy, minlength=len(self)).astype(np.float64)

    def places(self, rng: np.random.Generator) -> tuple[Array, Array]:
        """eta and phi of a random point in each tower."""
        along, around = rng.random((2, len(self)))
        eta = self.edges[self.row] + along * (self.edges[self.row + 1] - self.edges[self.row])
        return eta, (self.column + around) / self.across[self.row] * 2 * np.pi - np.pi
