"""The model state interface: one .safetensors file with a JSON header (docs/interfaces/model-state.md). Never a pickle."""

from __future__ import annotations

import dataclasses
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from jetformer_model.config import Architecture
from jetformer_model.errors import ModelError, StateError
from jetformer_model.fixed_point import FixedPointNetwork, number_of_entries
from jetformer_model.graph import Graph
from jetformer_model.graph_shapes import Shape
from jetformer_model.inputs import Inputs
from jetformer_model.network import JetFormer
from jetformer_model.one_bit import OneBit, OneBitJetFormer
from jetformer_model.taggers.registry import build
from jetformer_model.taggers.tagger import Tagger

FORMAT = "jetformer-state"
INTERFACE_VERSION = "2.0"
READABLE_FLOAT_VERSIONS = ("1", "2")  # float states have not changed since 1.1
_HEADER_KEY = "jetformer"
Kind = Literal["float", "fixed_point", "one_bit"]
Network = JetFormer | FixedPointNetwork | Tagger


@dataclass(frozen=True)
class State:
    """A network with everything needed to use it. `metrics` and `provenance` are for people."""

    network: Network
    inputs: Inputs
    class_names: tuple[str, ...]
    metrics: dict[str, Any] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)

    @property
    def kind(self) -> Kind:
        """ "fixed_point" once quantised, "one_bit" once binarised, else "float"."""
        if isinstance(self.network, OneBitJetFormer):
            return "one_bit"
        return "fixed_point" if isinstance(self.network, FixedPointNetwork) else "float"

    @property
    def name(self) -> str:
        """ "jetformer", or the name of another tagger."""
        return "jetformer" if isinstance(self.network, JetFormer) else self.network.name

    @property
    def constituents(self) -> int:
        """P, the constituents that a jet is cut or padded to."""
        network = self.network
        return network.architecture.constituents if isinstance(network, JetFormer) else network.constituents

    @property
    def architecture(self) -> Architecture:
        """The architecture of a JetFormer, of the float one if it is quantised. Raises ModelError for another tagger."""
        if self.name != "jetformer":
            raise ModelError(f"expected the state of a jetformer, got that of a {self.name}")
        return Architecture.from_dict(architecture_of(self.network))

    @property
    def float_form(self) -> JetFormer | Tagger:
        """The network itself, or one with other weights of the architecture that it was quantised from: what FLOPs and
        parameters are counted of."""
        network = self.network
        return (
            _float_network(network.architecture, self.inputs)
            if isinstance(network, FixedPointNetwork)
            else network
        )


def save(path: str | os.PathLike[str], state: State) -> None:
    """Write a state file; a reader never sees half of one."""
    header: dict[str, Any] = {
        "format": FORMAT,
        "version": INTERFACE_VERSION,
        "kind": state.kind,
        "architecture": architecture_of(state.network),
        "inputs": dataclasses.asdict(state.inputs),
        "class_names": list(state.class_names),
        "metrics": state.metrics,
        "provenance": state.provenance,
    }
    if isinstance(state.network, FixedPointNetwork):
        header["graph"] = state.network.graph.to_json()
    if isinstance(state.network, OneBitJetFormer):
        header["one_bit"] = dataclasses.asdict(state.network.form)
    require_folder(path)
    target = Path(path)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        save_file(_tensors(state.network), temporary, {_HEADER_KEY: json.dumps(header)})
        os.replace(temporary, target)
    except (OSError, SafetensorError) as error:
        raise StateError(f"{target}: cannot be written ({error})") from error
    finally:
        temporary.unlink(missing_ok=True)


def require_folder(path: str | os.PathLike[str]) -> None:
    """Raise StateError if there is no folder for `path`: to be asked before long work, not after it."""
    if not Path(path).absolute().parent.is_dir():
        raise StateError(f"{path}: there is no folder {Path(path).parent} to write it into")


def load(path: str | os.PathLike[str]) -> State:
    """Read a state file and rebuild its network, in evaluation mode on the CPU.

    Raises StateError, naming the file and the first thing that is not as the interface says.
    """
    header, tensors = _read(Path(path))
    try:
        inputs = _inputs(_entry(path, header, "inputs"))
        network = _empty_network(header, inputs)
        _fill(network, tensors)
    except ModelError as error:
        raise StateError(f"{path}: {error}") from error
    class_names = tuple(_entry(path, header, "class_names"))
    classes = header["architecture"]["classes"]
    if len(class_names) != classes:
        raise StateError(f"{path}: expected {classes} class names, got {len(class_names)}")
    return State(network.eval(), inputs, class_names, header.get("metrics", {}), header.get("provenance", {}))


def check(path: str | os.PathLike[str]) -> None:
    """Raise StateError unless the file follows the interface, grids of fixed-point tensors included."""
    state = load(path)
    if isinstance(state.network, FixedPointNetwork) and (name := state.network.first_off_grid()):
        raise StateError(f"{path}: state key {name!r} has values off the grid of its (k, i, f)")


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    if not path.is_file():
        raise StateError(f"{path}: no such file")
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {}).get(_HEADER_KEY, "null"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except (SafetensorError, ValueError, OSError) as error:
        raise StateError(f"{path}: not a readable .safetensors file ({error})") from error
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise StateError(f"{path}: no {FORMAT!r} header; was it written by jetformer-model?")
    version = str(header.get("version"))
    if version.split(".")[0] not in READABLE_FLOAT_VERSIONS:
        raise StateError(
            f"{path}: state version {version} is not supported (expected {INTERFACE_VERSION.split('.')[0]}.x); "
            "a matching release of jetformer-model is needed"
        )
    if header.get("kind") == "fixed_point" and version.startswith("1."):
        raise StateError(
            f"{path}: fixed-point states of version {version} are not read any more; "
            "quantise the float state again with this release"
        )
    return header, tensors


def _entry(path: str | os.PathLike[str], header: dict[str, Any], key: str) -> Any:
    if key not in header:
        raise StateError(f"{path}: the header has no entry {key!r}")
    return header[key]


def architecture_of(network: Network) -> dict[str, Any]:
    """As in the header of a state; of a network in fixed point, that of the float one that it comes from."""
    if isinstance(network, JetFormer):
        return network.architecture.to_dict()
    if isinstance(network, FixedPointNetwork):
        return network.architecture
    names = ("name", "constituents", "features", "classes", "sizes")
    return {name: getattr(network, name) for name in names}


def _inputs(stored: dict[str, Any]) -> Inputs:
    try:
        lists = {key: tuple(stored[key]) for key in ("features", "units", "mean", "std")}
        inputs = Inputs(**lists, min_pt_gev=float(stored["min_pt_gev"]))
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"header entry 'inputs' is incomplete: {error}") from error
    for key, values in lists.items():
        if len(values) != len(inputs.features):
            raise ModelError(f"inputs {key!r}: expected {len(inputs.features)} entries, got {len(values)}")
    return inputs


def _empty_network(header: dict[str, Any], inputs: Inputs) -> Network:
    """The network that the header describes, its weights yet to be filled in."""
    stored, kind = header.get("architecture"), header.get("kind")
    if not isinstance(stored, dict) or not isinstance(stored.get("name"), str):
        raise ModelError("the header has no entry 'architecture' with a name")
    if kind not in get_args(Kind):
        raise ModelError(f"kind: expected one of {', '.join(get_args(Kind))}, got {kind!r}")
    if kind == "fixed_point":
        network = FixedPointNetwork(Graph.from_json(header.get("graph", ())), stored)
        _expect_features(network.features, inputs)
        return network
    if kind == "one_bit":
        shape = Architecture.from_dict(stored)
        _expect_features(shape.features, inputs)
        return OneBitJetFormer(shape, OneBit.from_dict(header.get("one_bit")))
    return _float_network(stored, inputs)


def _float_network(architecture: dict[str, Any], inputs: Inputs) -> JetFormer | Tagger:
    if architecture["name"] != "jetformer":
        tagger = _empty_tagger(architecture, inputs)
        _expect_features(tagger.features, inputs)
        return tagger
    shape = Architecture.from_dict(architecture)
    _expect_features(shape.features, inputs)
    return JetFormer(shape)


def _expect_features(number: int, inputs: Inputs) -> None:
    if number != len(inputs.features):
        raise ModelError(f"inputs 'features': expected {number} entries, got {len(inputs.features)}")


def _empty_tagger(stored: dict[str, Any], inputs: Inputs) -> Tagger:
    try:
        sizes = {key: tuple(v) if isinstance(v, list) else v for key, v in stored["sizes"].items()}
        network = build(
            stored["name"],
            inputs,
            constituents=int(stored["constituents"]),
            classes=int(stored["classes"]),
            **sizes,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ModelError(f"architecture: cannot be built ({error})") from error
    assert isinstance(network, Tagger)
    return network


def _fill(network: Network, tensors: dict[str, Tensor]) -> None:
    if isinstance(network, OneBitJetFormer):
        tensors = network.unpacked(tensors)
    expected = _described(network, tensors)
    for name, (dtype, shape) in expected.items():
        if name not in tensors:
            raise ModelError(f"state key {name!r} is missing")
        if tensors[name].dtype != dtype or tuple(tensors[name].shape) != shape:
            raise ModelError(
                f"state key {name!r}: expected {_describe(dtype, shape)}, "
                f"got {_describe(tensors[name].dtype, tuple(tensors[name].shape))}; "
                "was this file pruned or edited without its header?"
            )
    if surplus := sorted(set(tensors) - set(expected)):
        raise ModelError(f"state key {surplus[0]!r} is not part of this network")
    if isinstance(network, FixedPointNetwork):
        network.load_stored(tensors)
    else:
        network.load_state_dict(tensors)


def _described(network: Network, tensors: dict[str, Tensor]) -> dict[str, tuple[torch.dtype, Shape]]:
    """The dtype and shape of each tensor that a file of this network has."""
    if not isinstance(network, FixedPointNetwork):
        return {name: (tensor.dtype, tuple(tensor.shape)) for name, tensor in network.state_dict().items()}
    found = {name: (torch.float32, shape) for name, shape in network.graph.parameter_shapes().items()}
    for name, _ in network.named_quantisers():
        stored = tensors.get(f"{name}.kif")
        # which axes have formats of their own is the file's choice, and is checked where they are set
        found[f"{name}.kif"] = torch.int8, (3,) if stored is None else tuple(stored.shape)
    for table in network.graph.of_kind("table"):
        index = tensors.get(f"{table.of[0]}.kif")
        entries = 0 if index is None else number_of_entries(index, table.of[0])
        found[f"{table.name}.entries"] = torch.float32, (entries,)
    return found


def _tensors(network: Network) -> dict[str, Tensor]:
    if isinstance(network, OneBitJetFormer):
        stored = network.packed()
    else:
        stored = network.stored() if isinstance(network, FixedPointNetwork) else network.state_dict()
    return {name: tensor.detach().cpu().contiguous() for name, tensor in stored.items()}


def _describe(dtype: torch.dtype, shape: Shape) -> str:
    return f"{str(dtype).removeprefix('torch.')} {shape}"
