"""Taggers as graphs of exact operations: norms folded, a number format wherever a number is kept.

`lower(network)` gives the network that is then quantised; unquantised, it computes what the float one does in evaluation.
A new tagger joins by one function `(network, features) -> None` that writes its equations, and a line in LOWERINGS.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from jetformer_compress.errors import CompressError
from jetformer_compress.lowering.jetformer import jetformer
from jetformer_compress.lowering.linformer import linformer
from jetformer_compress.lowering.sets import deep_sets, jedi_linear, mlp_mixer, particle_mlp
from jetformer_compress.lowering.trigger import trigger_jetformer
from jetformer_model.fixed_point import FixedPointNetwork
from jetformer_model.graph import Graph
from jetformer_model.graph_builder import GraphBuilder
from jetformer_model.network import JetFormer
from jetformer_model.one_bit import OneBitJetFormer
from jetformer_model.state import Network, architecture_of
from jetformer_model.taggers.deep_sets import DeepSets
from jetformer_model.taggers.jedi_linear import JediLinear
from jetformer_model.taggers.linformer import Linformer
from jetformer_model.taggers.mlp_mixer import MLPMixer
from jetformer_model.taggers.particle_mlp import ParticleMLP
from jetformer_model.taggers.tagger import Tagger
from jetformer_model.taggers.trigger_jetformer import TriggerJetFormer

__all__ = ["LOWERINGS", "lower", "lower_tagger"]

LOWERINGS: dict[type[nn.Module], Callable[[Any, Any], None]] = {
    JetFormer: jetformer,
    OneBitJetFormer: jetformer,
    Linformer: linformer,
    ParticleMLP: particle_mlp,
    DeepSets: deep_sets,
    JediLinear: jedi_linear,
    MLPMixer: mlp_mixer,
    TriggerJetFormer: trigger_jetformer,
}


def lower(network: Network) -> FixedPointNetwork:
    """The network in the form that is quantised, its number formats still unset, so that it computes in floating point.

    Raises CompressError for one that is in fixed point already, for a tagger that firmware is not made of, and for norms and
    activations that cannot be folded.
    """
    if isinstance(network, FixedPointNetwork):
        raise CompressError(
            "this network is in fixed point already; quantise the float state that it was made from"
        )
    graph, tensors = lower_tagger(network)
    return FixedPointNetwork(graph, architecture_of(network), tensors).eval()


@torch.no_grad()
def lower_tagger(network: JetFormer | Tagger) -> tuple[Graph, dict[str, Tensor]]:
    """The graph of a tagger and its tensors by name, float32. Raises CompressError as `lower` does."""
    if type(network) not in LOWERINGS:
        names = ", ".join(sorted(kind.__name__ for kind in LOWERINGS))
        raise CompressError(
            f"{architecture_of(network)['name']}: there is no fixed-point form of it, only of {names}"
        )
    shape = network.architecture if isinstance(network, JetFormer) else network
    build = GraphBuilder(shape.constituents, shape.features)
    LOWERINGS[type(network)](network, build.features())
    graph, tensors = build.finish()
    return graph, {name: tensor.detach().float().clone() for name, tensor in tensors.items()}
