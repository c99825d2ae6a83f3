"""Accuracies on the test split, which is touched once, when all choices are made.

Intervals of 68 % come from resampled jets (`jetformer_model.bootstrap`); the same resamples for all networks, so that a
difference is known better than its parts.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from jetformer_compress.errors import CompressError
from jetformer_data.schema import Reader
from jetformer_data.splitting import file_mask
from jetformer_model.bootstrap import Estimate, estimate
from jetformer_model.dataset import Dataset, open_split
from jetformer_model.state import State
from jetformer_model.training import predict

RESAMPLES, SEED = 200, 1
Right = NDArray[np.bool_]


def require_test_jets(path: str | os.PathLike[str]) -> None:
    """Raise CompressError if the file has no test jets: to be asked before long work, not after it."""
    with Reader(path) as reader:
        if not file_mask(reader, "test").any():
            raise CompressError(f"{path}: no jets in the test split, which the result is judged by")


def right_answers(state: State, jets: Dataset, device: torch.device) -> Right:
    """For each jet whether the network finds its class, [jets]."""
    network = state.network.to(device)
    try:
        right: Right = predict(network, jets.to(device)).argmax(1) == jets.labels.numpy()
    finally:
        network.cpu()
    return right


def estimates(right: Mapping[str, Right]) -> dict[str, Estimate]:
    """The accuracy of each network by name."""

    def measure(weights: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        found = {name: np.average(one, weights=weights) for name, one in right.items()}
        if {"before", "after"} <= found.keys():
            found["difference"] = found["after"] - found["before"]
        return {name: np.asarray(value) for name, value in found.items()}

    jets = len(next(iter(right.values())))
    return estimate(measure, jets, RESAMPLES, SEED)


def compare(
    before: State | None, after: State, path: str | os.PathLike[str], device: torch.device | None = None
) -> dict[str, Any]:
    """Test accuracy of a network `before` (if there is one) and `after`, and the `difference`, with intervals; for JSON."""
    device = device or torch.device("cpu")
    jets = open_split(path, "test", after.inputs, after.constituents, after.class_names)
    states = {"before": before, "after": after}
    right = {name: right_answers(state, jets, device) for name, state in states.items() if state}
    numbers = {name: plain(one) for name, one in estimates(right).items()}
    return {"jets": len(jets), **numbers, "resamples": RESAMPLES, "seed": SEED}


def plain(one: Estimate) -> dict[str, Any]:
    """A value and its interval for JSON."""
    low, high = float(one.low), float(one.high)
    return {"accuracy": round(float(one.value), 6), "interval": [round(low, 6), round(high, 6)]}
