"""pt, eta and phi of each constituent, from the normalised features that a tagger is given.

    value = x[..., column] * std + mean

Particle Transformer's pairwise features and ParticleNet's first neighbours are formulae of momenta, not of normalised
columns. A tagger with such needs names them (`TaggerSpec.needs`) and is built with the `Inputs` of its data, that know each
column's name, mean and deviation; so all taggers are called alike.

Constituents are taken as massless: what can be said of them then needs angles relative to the jet alone, which every data
set has, and pairwise quantities do not change when the jet is boosted along the beam.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from jetformer_model.errors import ModelError
from jetformer_model.inputs import Inputs

# quantity: the features that give it, best first; those that end in _log are natural logarithms
NAMES: dict[str, tuple[str, ...]] = {
    "pt": ("pt", "pt_log", "part_pt_log"),
    "eta": ("etarel", "eta", "part_deta"),
    "phi": ("phirel", "phi", "part_dphi"),
}


class Kinematics(nn.Module):
    """`kinematics(x, mask)`: the quantities asked for, each [jets, constituents] float32, 0 where the mask is False.

    Raises ModelError if the inputs have no feature that gives one of them.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, inputs: Inputs, quantities: Sequence[str]) -> None:
        super().__init__()
        names = [_feature_for(quantity, inputs.features) for quantity in quantities]
        self.columns = [inputs.features.index(name) for name in names]
        self.logarithmic = [name.endswith("_log") for name in names]
        self.register_buffer("mean", torch.tensor([inputs.mean[column] for column in self.columns]))
        self.register_buffer("std", torch.tensor([inputs.std[column] for column in self.columns]))

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, ...]:
        values = (x[..., self.columns].float() * self.std + self.mean).unbind(-1)
        physical = (
            value.exp() if log else value for value, log in zip(values, self.logarithmic, strict=True)
        )
        return tuple(torch.where(mask, value, 0.0) for value in physical)


def wrapped(phi: Tensor) -> Tensor:
    """An angle in radians brought to [-pi, pi)."""
    return torch.remainder(phi + math.pi, 2 * math.pi) - math.pi


def _feature_for(quantity: str, features: Sequence[str]) -> str:
    for name in NAMES[quantity]:
        if name in features:
            return name
    raise ModelError(
        f"this tagger needs {quantity}: expected one of the features {', '.join(NAMES[quantity])}, "
        f"got {', '.join(features)}"
    )
