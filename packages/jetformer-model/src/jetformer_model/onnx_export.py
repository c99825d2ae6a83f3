"""A state as an ONNX graph, for software that knows neither Python nor this package.

    constituents [jets, P, F] float32, mask [jets, P] bool (True = real constituent) -> OUTPUT [jets, C] float32

The safest graph is the default one: features come in physical units and are normalised inside, and what stands in padding,
be it a NaN, is never read. The number of jets is free, and that of constituents too unless the tagger's parameters depend on
it. What a caller must still do itself is in the graph's metadata: drop constituents below `min_pt_gev`, sort by falling pt,
and keep the first `constituents`.

The metadata are one entry, `jetformer`: JSON as in the header of a state, with the output's name, whether the number of
constituents is free, versions, and the SHA-256 of the state file.
"""

from __future__ import annotations

import copy
import dataclasses
import json
import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from jetformer_model.dataset import file_sha256
from jetformer_model.errors import ModelError
from jetformer_model.extras import require
from jetformer_model.inputs import Inputs
from jetformer_model.state import State, load, require_folder
from jetformer_model.taggers.interaction_network import InteractionNetwork
from jetformer_model.taggers.linformer import Linformer
from jetformer_model.taggers.mlp_mixer import MLPMixer
from jetformer_model.taggers.particle_mlp import ParticleMLP
from jetformer_model.taggers.particle_transformer import ParticleTransformer
from jetformer_model.taggers.particlenet import ParticleNet
from jetformer_model.taggers.tagger import without_padding
from jetformer_model.taggers.trigger_jetformer import TriggerJetFormer

FORMAT, FORMAT_VERSION = "jetformer-onnx", "1.0"
METADATA_KEY = "jetformer"
Output = Literal["probabilities", "log-softmax", "logits"]
OUTPUTS: tuple[Output, ...] = get_args(Output)


class Graph(nn.Module):
    """What is exported: the network between its normalisation (unless `normalised`) and its output."""

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, inputs: Inputs, output: Output, normalised: bool) -> None:
        super().__init__()
        self.network, self.output, self.normalised = network, output, normalised
        self.register_buffer("mean", torch.tensor(inputs.mean, dtype=torch.float64))
        self.register_buffer("std", torch.tensor(inputs.std, dtype=torch.float64))

    def forward(self, constituents: Tensor, mask: Tensor) -> Tensor:
        x = without_padding(constituents, mask)
        if not self.normalised:  # in float64, as jets are normalised everywhere
            x = without_padding(((x.double() - self.mean) / self.std).float(), mask)
        logits: Tensor = self.network(x, mask)
        if self.output == "logits":
            return logits
        return logits.softmax(-1) if self.output == "probabilities" else logits.log_softmax(-1)


def export(
    state_path: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    output: Output = "probabilities",
    normalised: bool = False,
) -> dict[str, Any]:
    """Write the network of a float state to `out` and return the metadata that the graph carries.

    output: what the graph gives, and its name: "probabilities", "log-softmax" or "logits"
    normalised: leave normalisation to the caller
    Raises ModelError for a fixed-point state, for a tagger that no graph can hold, or if the extra `onnx` is not installed.
    """
    if output not in OUTPUTS:
        raise ModelError(f"output {output!r}: expected one of {', '.join(OUTPUTS)}")
    require_folder(out)
    state = load(state_path)
    network = exportable(state)
    for module in ("onnxscript", "onnxruntime"):
        require(module, "onnx")
    graph = Graph(network, state.inputs, output, normalised).eval()
    metadata = _metadata(state, output, normalised) | {"state_sha256": file_sha256(state_path)}
    _write(_proto(graph, state, output), metadata, Path(out))
    return metadata


def exportable(state: State) -> nn.Module:
    """A copy of the state's network as a graph can hold it; raises ModelError where none can."""
    if state.kind == "fixed_point":
        raise ModelError(
            "a fixed-point state cannot be exported to ONNX; jetformer-fpga makes firmware of it"
        )
    if isinstance(state.network, ParticleNet):
        raise ModelError(
            "a particlenet cannot be exported to ONNX: the shapes in it depend on how many edges the jets have"
        )
    network = copy.deepcopy(state.network)
    if isinstance(network, ParticleTransformer) and network.pair_bias is not None:
        network.pair_bias.pairs = "square"
    return network


def constituents_are_free(network: nn.Module) -> bool:
    """Whether no parameter of the network depends on the number of constituents."""
    by_place = (isinstance(network, InteractionNetwork) and network.pooling == "places") or (
        isinstance(network, TriggerJetFormer) and network.by_place
    )
    return not (by_place or isinstance(network, ParticleMLP | MLPMixer | Linformer))


def _proto(graph: Graph, state: State, output: Output) -> Any:
    # An axis of length 1 would be taken for one that is always 1.
    slots = max(2, state.constituents)
    x = torch.zeros(3, slots, len(state.inputs.features))
    mask = torch.arange(slots) < torch.tensor([[0], [1], [slots]])
    axes = {0: torch.export.Dim("jets")}
    if constituents_are_free(graph.network):
        axes[1] = torch.export.Dim("constituents")
    elif slots > state.constituents:
        x, mask = x[:, :1], mask[:, :1]
    with (
        _silence(),
        torch.no_grad(),
        sdpa_kernel(SDPBackend.MATH),
    ):  # fused attention leaves strides no graph has
        program = torch.onnx.export(
            graph,
            (x, mask),
            input_names=["constituents", "mask"],
            output_names=[output],
            dynamic_shapes=(axes, axes),
            dynamo=True,
            verbose=False,
        )
        return program.model_proto  # type: ignore[union-attr]


def _metadata(state: State, output: Output, normalised: bool) -> dict[str, Any]:
    packages = ("jetformer-model", "torch", "onnx", "onnxscript")
    return {
        "format": FORMAT,
        "version": FORMAT_VERSION,
        "tagger": state.name,
        "inputs": dataclasses.asdict(state.inputs),
        "normalised_inside": not normalised,
        "constituents": state.constituents,
        "constituents_are_free": constituents_are_free(state.network),
        "class_names": list(state.class_names),
        "output": output,
        "versions": {name: version(name) for name in packages},
    }


def _write(proto: Any, metadata: dict[str, Any], target: Path) -> None:
    """Checked, without traces of the exporting program's source files, and never half."""
    onnx = require("onnx", "onnx")
    for node in [*proto.graph.node, *(node for function in proto.functions for node in function.node)]:
        node.ClearField("metadata_props")
        node.ClearField("doc_string")
    onnx.helper.set_model_props(proto, {METADATA_KEY: json.dumps(metadata)})
    onnx.checker.check_model(proto, full_check=True)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(proto.SerializeToString())
        os.replace(temporary, target)
    except OSError as error:
        raise ModelError(f"{target}: cannot be written ({error})") from error
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def _silence() -> Iterator[None]:
    """The exporter speaks of its own inner life, which is nothing to a user."""
    log = logging.getLogger("torch.onnx")
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(before)
