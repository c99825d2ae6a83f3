"""Taggers as graphs of exact operations: norms folded, a number format wherever a number is kept.

`lower_tagger(network)` gives the graph and its weights; unquantised, it computes what the network computes in evaluation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from jetformer_compress.errors import CompressError
from jetformer_compress.lowering.sets import deep_sets, jedi_linear, mlp_mixer, particle_mlp
from jetformer_compress.lowering.trigger import trigger_jetformer
from jetformer_model.graph import Graph
from jetformer_model.graph_builder import GraphBuilder
from jetformer_model.taggers.deep_sets import DeepSets
from jetformer_model.taggers.jedi_linear import JediLinear
from jetformer_model.taggers.mlp_mixer import MLPMixer
from jetformer_model.taggers.particle_mlp import ParticleMLP
from jetformer_model.taggers.tagger import Tagger
from jetformer_model.taggers.trigger_jetformer import TriggerJetFormer

__all__ = ["LOWERINGS", "lower_tagger"]

LOWERINGS: dict[type[Tagger], Callable[[Any, Any], None]] = {
    ParticleMLP: particle_mlp,
    DeepSets: deep_sets,
    JediLinear: jedi_linear,
    MLPMixer: mlp_mixer,
    TriggerJetFormer: trigger_jetformer,
}


@torch.no_grad()
def lower_tagger(network: Tagger) -> tuple[Graph, dict[str, Tensor]]:
    """The graph of a tagger and its tensors by name, float32.

    Raises CompressError for a tagger that firmware is not made of.
    """
    if type(network) not in LOWERINGS:
        names = ", ".join(sorted(kind.__name__ for kind in LOWERINGS))
        raise CompressError(f"{network.name}: there is no fixed-point form of it, only of JetFormer, {names}")
    build = GraphBuilder(network.constituents, network.features)
    LOWERINGS[type(network)](network, build.features())
    graph, tensors = build.finish()
    return graph, {name: tensor.detach().float().clone() for name, tensor in tensors.items()}
