"""Soft-drop mass and N-subjettiness of jets.

Soft drop (arXiv:1402.2657): a jet's Cambridge/Aachen history is undone, and its softer branch dropped, until the softer
carries more than z = 0.1 of the pt of both; beta = 0, so at any angle. The mass of what is left is `jet_sdmass`.

N-subjettiness (arXiv:1011.2268): tau_N = sum_i pt_i min_k delta R(i, axis k) / sum_i pt_i R, delta R in rapidity and
phi (beta = 1). The axes are those of the N exclusive kT jets, then moved to the nearest minimum of tau_N (one pass, as
in arXiv:1108.2701). Both are what the published JetClass card asks of Delphes.
"""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jetformer_data.extras import require
from jetformer_data.jets import wrap_phi
from jetformer_data.raw import RawJets

Array = NDArray[np.float64]

SOFT_DROP_CUT = 0.1
MOST_AXES = 4
# Moves of the axes; tau changes by less than 0.1 % after the tenth.
_MOVES = 30
# The weight of a particle on its axis would be infinite.
_NEAREST = 1e-4
# Larger than any jet: all that is given is clustered into one.
_WHOLE = 10.0


def with_substructure(raw: RawJets, radius: float) -> RawJets:
    """The jets with the columns `jet_sdmass` (GeV) and `jet_tau1` to `jet_tau4`; `radius` is that of their clustering."""
    taus = {f"jet_tau{n}": n_subjettiness(raw, n, radius) for n in range(1, MOST_AXES + 1)}
    return replace(raw, jets={**raw.jets, "jet_sdmass": soft_drop_mass(raw, radius), **taus})


def soft_drop_mass(raw: RawJets, radius: float) -> Array:
    """Mass in GeV after soft drop, `[jets]`; 0 for a jet without constituents."""
    mass = np.zeros(len(raw))
    filled = np.flatnonzero(np.diff(raw.offsets) > 0)
    if len(filled):
        sequence = _clustered(raw.select(filled), "cambridge_algorithm")
        groomed = sequence.exclusive_jets_softdrop_grooming(
            beta=0, symmetry_cut=SOFT_DROP_CUT, symmetry_measure="scalar_z", R0=radius
        )
        # The mass of a single particle comes out as NaN where rounding makes its square negative.
        mass[filled] = np.nan_to_num(np.asarray(groomed.msoftdrop))
    return mass


def n_subjettiness(raw: RawJets, axes: int, radius: float) -> Array:
    """tau_N for N = `axes`, `[jets]`; 0 for a jet that has no more than N constituents."""
    tau = np.zeros(len(raw))
    large = np.flatnonzero(np.diff(raw.offsets) > axes)
    if len(large):
        jets = raw.select(large)
        tau[large] = _minimised(jets, *_kt_axes(jets, axes)) / radius
    return tau


def _minimised(raw: RawJets, axis_rapidity: Array, axis_phi: Array) -> Array:
    """sum pt delta R / sum pt to the nearest of the axes `[jets, axes]`, moved to a minimum.

    A step takes each axis to the mean of its particles weighted by pt / delta R, which lowers the sum (Weiszfeld's
    algorithm for the geometric median); the smallest value on the way counts.
    """
    jet, (jets, axes) = raw.jet_of, axis_rapidity.shape
    pt, phi = raw.column("pt"), raw.column("phi")
    rapidity = np.arctanh(raw.column("pz") / raw.column("energy"))

    def total(of: NDArray[np.int64], values: Array, length: int) -> Array:
        return np.bincount(of, values, minlength=length).astype(np.float64)

    best = np.full(jets, np.inf)
    for _ in range(_MOVES + 1):
        away = rapidity[:, None] - axis_rapidity[jet], wrap_phi(phi[:, None] - axis_phi[jet])
        distance = np.hypot(*away)
        nearest = distance.argmin(axis=1)[:, None]
        distance, across, around = (
            np.take_along_axis(of_axis, nearest, axis=1)[:, 0] for of_axis in (distance, *away)
        )
        best = np.minimum(best, total(jet, pt * distance, jets))
        of = jet * axes + nearest[:, 0]
        weight = pt / np.maximum(distance, _NEAREST)
        weights = np.maximum(total(of, weight, jets * axes), 1e-300)
        axis_rapidity = axis_rapidity + (total(of, weight * across, jets * axes) / weights).reshape(
            jets, axes
        )
        axis_phi = axis_phi + (total(of, weight * around, jets * axes) / weights).reshape(jets, axes)
    return best / total(jet, pt, jets)


def _kt_axes(raw: RawJets, axes: int) -> tuple[Array, Array]:
    """Rapidity and phi `[jets, axes]` of exclusive kT jets."""
    with warnings.catch_warnings():
        # The binding warns of any algorithm, kT included.
        warnings.filterwarnings("ignore", "dcut and exclusive jets")
        jets = _clustered(raw, "kt_algorithm").exclusive_jets(axes)
    flat = require("awkward", "generate").flatten(jets)
    px, py, pz, energy = (np.asarray(flat[name]).reshape(len(raw), axes) for name in ("px", "py", "pz", "E"))
    # A massless axis along the beam would be infinitely far; there are none in a jet.
    return np.arctanh(pz / energy), np.arctan2(py, px)


def _clustered(raw: RawJets, algorithm: str) -> Any:
    """Each jet's constituents clustered again, on their own."""
    awkward, fastjet = require("awkward", "generate"), require("fastjet", "generate")
    names = {"px": "px", "py": "py", "pz": "pz", "E": "energy"}
    momenta = awkward.zip({name: raw.column(column) for name, column in names.items()})
    definition = fastjet.JetDefinition(getattr(fastjet, algorithm), _WHOLE)
    return fastjet.ClusterSequence(awkward.unflatten(momenta, np.diff(raw.offsets)), definition)
