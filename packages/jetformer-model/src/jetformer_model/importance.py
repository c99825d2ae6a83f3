"""Permutation importance: how much accuracy is lost when one feature no longer belongs to its constituent.

    importance_f = accuracy - mean over repeats of the accuracy with column f permuted

The values of the feature are permuted among all real constituents of all jets, so that their distribution stays and what
they tell of a jet is gone. A feature whose content others repeat shows a small importance, although it may be used.
Source: L. Breiman, "Random Forests", Machine Learning 45 (2001) 5; A. Fisher, C. Rudin, F. Dominici, arXiv:1801.01489.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from jetformer_model.dataset import Dataset
from jetformer_model.training import predict


@dataclass(frozen=True)
class Importance:
    """Accuracy that is lost without a feature, and its standard error from the differences of single jets."""

    feature: str
    drop: float
    error: float


def permutation_importance(
    network: nn.Module,
    jets: Dataset,
    features: Sequence[str],
    *,
    repeats: int = 5,
    seed: int = 1,
    after_each: Callable[[str], object] = bool,
) -> list[Importance]:
    """The importance of each feature, the names of the last axis of `jets.x`; any tagger, called `network(x, mask)`.

    repeats: permutations a feature
    after_each: told of each feature when it is done
    """
    generator = torch.Generator().manual_seed(seed)
    right = _is_right(network, jets)
    found = []
    for column, feature in enumerate(features):
        permuted = [_is_right(network, _permuted(jets, column, generator)) for _ in range(repeats)]
        lost = right - torch.stack(permuted).mean(0)
        found.append(Importance(feature, float(lost.mean()), float(lost.std() / len(lost) ** 0.5)))
        after_each(feature)
    return found


def _permuted(jets: Dataset, column: int, generator: torch.Generator) -> Dataset:
    """The same jets with one column permuted among their real constituents."""
    x = jets.x.clone()
    values = x[..., column][jets.mask]
    x[..., column][jets.mask] = values[torch.randperm(len(values), generator=generator)]
    return dataclasses.replace(jets, x=x)


def _is_right(network: nn.Module, jets: Dataset) -> Tensor:
    """1 for each jet that is taken for what it is, else 0, [jets] float64."""
    return (torch.from_numpy(predict(network, jets)).argmax(1) == jets.labels).double()
