"""Attention of the class token: what share of its attention each constituent gets, in each block and head.

    attention_j = softmax over real tokens j of q_class . k_j / sqrt(a / H)

The network's own forward pass keeps no attention weights. They are computed anew from the q and k that pass through it, read
by hooks that are there only meanwhile; so an ordinary forward pass costs nothing more.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from jetformer_model.dataset import Dataset
from jetformer_model.errors import ModelError
from jetformer_model.fixed_point import FixedPointNetwork
from jetformer_model.network import Attention, JetFormer
from jetformer_model.state import State
from jetformer_model.taggers.kinematics import NAMES, Kinematics, wrapped

_RELATIVE = {"etarel", "part_deta"}


@dataclass(frozen=True)
class JetAttention:
    """One jet and what the class token attends to in it; arrays hold its real constituents alone.

    jet: its position in the split; index: its position in the file
    pt (GeV), eta, phi (rad): [constituents], the angles relative to the jet, or to the first constituent where the features
        of the network are not
    attention: [constituents], shares that sum to 1 - own
    own: the share of the class token itself
    """

    jet: int
    index: int
    label: str
    prediction: str
    probability: float
    pt: Tensor
    eta: Tensor
    phi: Tensor
    attention: Tensor
    own: float

    def as_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {name: v.tolist() if isinstance(v, Tensor) else v for name, v in vars(self).items()}


@torch.no_grad()
def class_attention(network: nn.Module, x: Tensor, mask: Tensor) -> Tensor:
    """Attention of the class token over itself (first) and the constituents, [jets, blocks, heads, 1 + constituents].

    x, mask: as the network takes them, padded; True = real constituent. Each sum over the last axis is 1; padding gets 0.
    Raises ModelError if the network is no JetFormer with float weights.
    """
    if not isinstance(network, JetFormer):
        raise ModelError(without_attention(network))
    is_token = functional.pad(mask, (1, 0), value=True)[:, None, None, :]
    layers = [block.attention for block in network.each_block()]
    with _outputs([layer for attention in layers for layer in (attention.q, attention.k)]) as outputs:
        network.eval()(x, mask)
    return torch.stack(
        [_weights(attention, outputs[attention.q], outputs[attention.k], is_token) for attention in layers], 1
    )


def without_attention(network: nn.Module) -> str:
    """Why there is no attention to look at in this network; empty if there is."""
    if isinstance(network, JetFormer):
        return ""
    found = "one in fixed point" if isinstance(network, FixedPointNetwork) else f"a {network.name}"
    return f"attention of the class token can be looked at in a float JetFormer alone, and this network is {found}"


def attention_of_jets(
    state: State, jets: Dataset, chosen: list[int], block: int | None = None, head: int | None = None
) -> list[JetAttention]:
    """Attention in the chosen jets (positions in the data set).

    block: its number, from 0; the last if not given, which is the one that the answer is read from
    head: its number, from 0; the mean of all if not given
    Raises ModelError if there is no such jet, block or head, or the features don't tell pt, eta and phi.
    """
    momenta = _kinematics(state)
    _expect_number("jet", chosen, len(jets))
    rows = torch.tensor(chosen, dtype=torch.int64)
    x, mask = jets.x[rows], jets.mask[rows]
    attention = class_attention(state.network, x, mask)
    _expect_number("block", [] if block is None else [block], attention.shape[1])
    _expect_number("head", [] if head is None else [head], attention.shape[2])
    of_block = attention[:, -1 if block is None else block]
    shares = of_block.mean(1) if head is None else of_block[:, head]
    with torch.no_grad():
        probabilities = state.network(x, mask).double().softmax(1)
    coordinates = torch.stack(momenta(x, mask), 1)
    found = []
    for row, jet in enumerate(chosen):
        probability, taken = probabilities[row].max(0)
        pt, eta, phi = coordinates[row][:, mask[row]]
        if not _RELATIVE & set(state.inputs.features):
            eta, phi = eta - eta[:1], wrapped(phi - phi[:1])
        names = state.class_names[int(jets.labels[jet])], state.class_names[int(taken)]
        own, rest = float(shares[row, 0]), shares[row, 1:][mask[row]]
        found.append(
            JetAttention(jet, int(jets.index[jet]), *names, float(probability), pt, eta, phi, rest, own)
        )
    return found


def first_of_each_class(labels: Tensor, number: int) -> list[int]:
    """Positions of the first `number` jets of each class, class after class."""
    return [int(jet) for label in labels.unique() for jet in (labels == label).nonzero()[:number, 0]]


def _weights(attention: Attention, q: Tensor, k: Tensor, is_token: Tensor) -> Tensor:
    """[jets, heads, tokens] of q [jets, queries, a], whose first is the class token's, and k [jets, tokens, a]."""
    q, k = (part.unflatten(-1, (attention.heads, -1)).transpose(1, 2) for part in (q[:, :1], k))
    scores = q @ k.transpose(-1, -2) * k.shape[-1] ** -0.5
    return scores.masked_fill(~is_token, float("-inf")).softmax(-1)[:, :, 0]


@contextmanager
def _outputs(layers: list[nn.Module]) -> Iterator[dict[nn.Module, Tensor]]:
    """What each layer gives, filled in as the network runs."""
    outputs: dict[nn.Module, Tensor] = {}

    def keep(layer: nn.Module, _: object, output: Tensor) -> None:
        outputs[layer] = output

    hooks = [layer.register_forward_hook(keep) for layer in layers]
    try:
        yield outputs
    finally:
        for hook in hooks:
            hook.remove()


def _kinematics(state: State) -> Kinematics:
    for quantity, names in NAMES.items():
        if not set(names) & set(state.inputs.features):
            raise ModelError(
                f"a picture of attention needs {quantity}: expected one of the features {', '.join(names)}, "
                f"got {', '.join(state.inputs.features)}"
            )
    return Kinematics(state.inputs, ("pt", "eta", "phi"))


def _expect_number(what: str, numbers: list[int], count: int) -> None:
    for number in numbers:
        if not 0 <= number < count:
            raise ModelError(f"{what} {number}: expected a number from 0 to {count - 1}")
