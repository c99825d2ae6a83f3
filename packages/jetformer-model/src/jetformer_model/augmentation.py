"""Training jets seen anew in every epoch: turned about their axis and mirrored, as physics does not mind.

    (eta', phi') = R(angle) diag(s, 1) (eta, phi)      angle in [0, 2 pi) and s = +-1 drawn for each jet

Distances from the axis and between constituents stay what they are, and so do masses, up to the small difference between
eta and rapidity. Features that are no angles are left alone; angles that are turned upright already are mirrored only.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from jetformer_model.dataset import Dataset
from jetformer_model.errors import ModelError
from jetformer_model.inputs import Inputs

# Features that are the two components of one vector in the plane of eta and phi, with the jet at its origin.
FREE = (("etarel", "phirel"), ("part_deta", "part_dphi"))
# The same of jets whose principal axis was brought to point along phi: a turn of the jet does not show in them.
UPRIGHT = (("etarot", "phirot"),)

Pairs = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Plane:
    """One vector a constituent: the columns of its two components, and how each of them was normalised.

    columns: (eta, phi)
    mean, std: one a component
    turns: whether it turns with the jet; else it is only mirrored
    """

    columns: tuple[int, int]
    mean: tuple[float, float]
    std: tuple[float, float]
    turns: bool = True


def planes(inputs: Inputs, free: Pairs = FREE, upright: Pairs = UPRIGHT) -> tuple[Plane, ...]:
    """Those of the pairs of features that a network with these inputs gets. Raises ModelError if it gets none."""
    place = {name: column for column, name in enumerate(inputs.features)}
    found = []
    for pairs, turns in ((free, True), (upright, False)):
        for i, j in [(place[eta], place[phi]) for eta, phi in pairs if eta in place and phi in place]:
            mean, std = (inputs.mean[i], inputs.mean[j]), (inputs.std[i], inputs.std[j])
            found.append(Plane((i, j), mean, std, turns))
    if not found:
        known = ", ".join(" with ".join(pair) for pair in (*free, *upright))
        raise ModelError(
            f"augmentation: expected angles among the features ({known}), got {', '.join(inputs.features)}"
        )
    return tuple(found)


def turn(x: Tensor, mask: Tensor, angle: Tensor, mirrored: Tensor, vectors: Sequence[Plane]) -> Tensor:
    """Normalised jets [jets, constituents, features], mirrored in eta where told, then turned; padding stays as it is.

    mask: [jets, constituents], True = real
    angle: [jets], rad; all vectors of a jet turn together
    mirrored: [jets] bool
    """
    sign = torch.where(mirrored, -1.0, 1.0)[:, None]
    result = x.clone()
    for plane in vectors:
        (i, j), mean, std = plane.columns, plane.mean, plane.std
        eta, phi = sign * (x[..., i] * std[0] + mean[0]), x[..., j] * std[1] + mean[1]
        if plane.turns:
            cosine, sine = angle.cos()[:, None], angle.sin()[:, None]
            eta, phi = cosine * eta - sine * phi, sine * eta + cosine * phi
        result[..., i] = torch.where(mask, (eta - mean[0]) / std[0], x[..., i])
        result[..., j] = torch.where(mask, (phi - mean[1]) / std[1], x[..., j])
    return result


@dataclass(frozen=True)
class TurnedJets:
    """Jets in memory, each turned and mirrored at random whenever a shuffled batch of them is taken.

    Takes the place of `jets` as training data; in their own order, as for evaluation, they come as they are.
    """

    jets: Dataset
    vectors: tuple[Plane, ...]

    def __len__(self) -> int:
        return len(self.jets)

    @property
    def constituents(self) -> int:
        """P."""
        return self.jets.constituents

    def to(self, device: torch.device) -> TurnedJets:
        """The same jets on a device."""
        return TurnedJets(self.jets.to(device), self.vectors)

    def fingerprint(self) -> str:
        """Stands for the jets and what becomes of them."""
        return hashlib.sha256(f"{self.jets.fingerprint()} {self.vectors}".encode()).hexdigest()

    def batches(
        self, size: int, generator: torch.Generator | None = None, rank: int = 0, world: int = 1
    ) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """(x, mask, labels), see `Dataset.batches`; `generator` also draws the angles, one a jet and epoch.

        All processes draw for all jets, so that a jet is turned alike however many share the work.
        """
        if generator is None:
            yield from self.jets.batches(size, None, rank, world)
            return
        angle = 2 * math.pi * torch.rand(len(self), generator=generator)
        mirrored = torch.rand(len(self), generator=generator) < 0.5
        order = torch.randperm(len(self), generator=generator)
        for batch in order.split(size):
            if len(batch) < world:
                continue
            mine = batch[rank::world]
            x, mask, labels = (tensor[mine] for tensor in (self.jets.x, self.jets.mask, self.jets.labels))
            how = (angle[mine].to(x.device), mirrored[mine].to(x.device))
            yield turn(x, mask, *how, self.vectors), mask, labels
