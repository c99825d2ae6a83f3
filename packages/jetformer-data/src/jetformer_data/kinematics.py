"""Massless four-momenta summed jet by jet."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from jetformer_data.jets import wrap_phi


def jet_axis_features(
    constituents: NDArray[np.float32],
    offsets: NDArray[np.int64],
    axis_eta: NDArray[np.floating],
    axis_phi: NDArray[np.floating],
) -> NDArray[np.float32]:
    """(jet_pt, jet_eta, jet_phi, jet_mass) of the sum of massless constituents (pt, etarel, phirel): `[jets, 4]`.

    `axis_eta` and `axis_phi` `[jets]` are where etarel and phirel are counted from. A jet without constituents gets
    pt and mass 0 on its axis.
    """
    jet = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    pt, etarel, phirel = constituents.astype(np.float64).T
    eta, phi = etarel + axis_eta[jet], phirel + axis_phi[jet]
    momenta = (pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta), pt * np.cosh(eta))
    px, py, pz, energy = (np.bincount(jet, p, minlength=len(offsets) - 1) for p in momenta)
    jet_pt = np.hypot(px, py)
    empty = jet_pt == 0
    jet_eta = np.where(empty, axis_eta, np.arcsinh(pz / np.where(empty, 1, jet_pt)))
    jet_phi = np.where(empty, axis_phi, np.arctan2(py, px))
    mass = np.sqrt(np.maximum(energy**2 - jet_pt**2 - pz**2, 0))
    return np.stack([jet_pt, jet_eta, wrap_phi(jet_phi), mass], axis=1).astype(np.float32)
