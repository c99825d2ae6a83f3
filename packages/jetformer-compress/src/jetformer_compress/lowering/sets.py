"""Particle MLP, Deep Sets, JEDI-linear and MLP-Mixer as graphs of exact operations; the formulae stand in their modules."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from jetformer_compress.lowering.layers import (
    OUTPUT,
    dense,
    mean_over_constituents,
    scale_and_shift,
    sum_over_constituents,
)
from jetformer_model.graph_builder import Node
from jetformer_model.taggers.deep_sets import DeepSets
from jetformer_model.taggers.jedi_linear import POOLING_SCALE, JediLinear
from jetformer_model.taggers.mlp_mixer import MLPMixer
from jetformer_model.taggers.particle_mlp import ParticleMLP


def particle_mlp(network: ParticleMLP, x: Node) -> None:
    """Features of padding are zeros already, as the network wants them."""
    dense(x.reshape(network.constituents * network.features), "layers", network.layers, output=OUTPUT)


def deep_sets(network: DeepSets, x: Node) -> None:
    """rho(mean phi(x))."""
    pooled = mean_over_constituents(dense(x, "phi", network.phi), "pooled")
    dense(pooled, "rho", network.rho, output=OUTPUT)


def jedi_linear(network: JediLinear, x: Node) -> None:
    """Both scales are powers of two, part of the weights after the sums."""
    h = dense(x, "embedding", network.embedding)
    everything = sum_over_constituents(h, "everything")
    of_all = dense(everything, "of_all", network.of_all, factor=network.global_scale)
    message = (dense(h, "own", network.own) + of_all).quantised("message")
    pooled = sum_over_constituents(dense(message, "update", network.update), "pooled")
    dense(pooled, "head", network.head, factor=POOLING_SCALE, output=OUTPUT)


def mlp_mixer(network: MLPMixer, x: Node) -> None:
    """The layer along the constituents acts on the transposed array; its norm has a channel a constituent."""
    mixing = network.along_constituents
    scale, shift = scale_and_shift(cast(nn.ModuleList, mixing.norms)[0])
    weight = cast(Tensor, mixing.layers[0].weight) * scale[:, None]
    h = dense(x, "along_features", network.along_features)
    mixed = h.transpose(1, 0).linear("along_constituents", weight, shift).transpose(1, 0)
    z = dense((x + mixed).quantised("mixed"), "again_along_features", network.again_along_features)
    pooled = z.transpose(1, 0).linear("weights_of_places", network.weights_of_places.weight)
    pooled = pooled.reshape(network.head.widths[0]).quantised("pooled")
    dense(pooled, "head", network.head, output=OUTPUT)
