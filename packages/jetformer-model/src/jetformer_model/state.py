"""The model state interface: one .safetensors file with a JSON header (docs/interfaces/model-state.md). Never a pickle."""

from __future__ import annotations

import dataclasses
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from jetformer_model.config import Architecture
from jetformer_model.errors import ModelError, StateError
from jetformer_model.fixed_point import FixedPointJetFormer
from jetformer_model.inputs import Inputs
from jetformer_model.network import JetFormer
from jetformer_model.one_bit import OneBit, OneBitJetFormer
from jetformer_model.taggers.registry import build
from jetformer_model.taggers.tagger import Tagger

FORMAT = "jetformer-state"
INTERFACE_VERSION = "1.1"
_HEADER_KEY = "jetformer"
Kind = Literal["float", "fixed_point", "one_bit"]
Network = JetFormer | FixedPointJetFormer | Tagger


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
        return "fixed_point" if isinstance(self.network, FixedPointJetFormer) else "float"

    @property
    def name(self) -> str:
        """ "jetformer", or the name of another tagger."""
        return self.network.name if isinstance(self.network, Tagger) else "jetformer"

    @property
    def constituents(self) -> int:
        """P, the constituents that a jet is cut or padded to."""
        network = self.network
        return network.constituents if isinstance(network, Tagger) else network.architecture.constituents

    @property
    def architecture(self) -> Architecture:
        """The architecture of a JetFormer. Raises ModelError for another tagger."""
        if isinstance(self.network, Tagger):
            raise ModelError(f"expected the state of a jetformer, got that of a {self.name}")
        return self.network.architecture


def save(path: str | os.PathLike[str], state: State) -> None:
    """Write a state file; a reader never sees half of one."""
    header: dict[str, Any] = {
        "format": FORMAT,
        "version": INTERFACE_VERSION,
        "kind": state.kind,
        "architecture": _architecture(state.network),
        "inputs": dataclasses.asdict(state.inputs),
        "class_names": list(state.class_names),
        "metrics": state.metrics,
        "provenance": state.provenance,
    }
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
        network = _empty_network(header, inputs, tensors)
    except ModelError as error:
        raise StateError(f"{path}: {error}") from error
    _fill(path, network, tensors)
    class_names = tuple(_entry(path, header, "class_names"))
    classes = header["architecture"]["classes"]
    if len(class_names) != classes:
        raise StateError(f"{path}: expected {classes} class names, got {len(class_names)}")
    return State(network.eval(), inputs, class_names, header.get("metrics", {}), header.get("provenance", {}))


def check(path: str | os.PathLike[str]) -> None:
    """Raise StateError unless the file follows the interface, grids of fixed-point tensors included."""
    state = load(path)
    if isinstance(state.network, FixedPointJetFormer) and (name := state.network.first_off_grid()):
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
    if version.split(".")[0] != INTERFACE_VERSION.split(".")[0]:
        raise StateError(
            f"{path}: state version {version} is not supported (expected {INTERFACE_VERSION.split('.')[0]}.x); "
            "a matching release of jetformer-model is needed"
        )
    return header, tensors


def _entry(path: str | os.PathLike[str], header: dict[str, Any], key: str) -> Any:
    if key not in header:
        raise StateError(f"{path}: the header has no entry {key!r}")
    return header[key]


def _architecture(network: Network) -> dict[str, Any]:
    if not isinstance(network, Tagger):
        return network.architecture.to_dict()
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


def _empty_network(header: dict[str, Any], inputs: Inputs, tensors: dict[str, Tensor]) -> Network:
    """The network that the header describes, its weights yet to be filled in."""
    stored, kind = header.get("architecture"), header.get("kind")
    if not isinstance(stored, dict):
        raise ModelError("the header has no entry 'architecture'")
    network: Network
    if kind not in get_args(Kind):
        raise ModelError(f"kind: expected one of {', '.join(get_args(Kind))}, got {kind!r}")
    if kind == "float" and stored.get("name") != "jetformer":
        network = _empty_tagger(stored, inputs)
        features = network.features
    else:
        architecture = Architecture.from_dict(stored)
        features = architecture.features
        if kind == "one_bit":
            network = OneBitJetFormer(architecture, OneBit.from_dict(header.get("one_bit")))
        else:
            network = JetFormer(architecture) if kind == "float" else FixedPointJetFormer(architecture)
    if features != len(inputs.features):
        raise ModelError(f"inputs 'features': expected {features} entries, got {len(inputs.features)}")
    if isinstance(network, FixedPointJetFormer):
        formats = {name: tensor for name, tensor in tensors.items() if name.endswith(".kif")}
        network.set_formats({_attribute_name(n).removesuffix(".kif"): t for n, t in formats.items()})
    return network


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


def _fill(path: str | os.PathLike[str], network: Network, tensors: dict[str, Tensor]) -> None:
    if isinstance(network, OneBitJetFormer):
        try:
            tensors = network.unpacked(tensors)
        except ModelError as error:
            raise StateError(f"{path}: {error}") from error
    expected = {_file_name(name): tensor for name, tensor in network.state_dict().items()}
    for name, tensor in expected.items():
        if name not in tensors:
            raise StateError(f"{path}: state key {name!r} is missing")
        if tensors[name].shape != tensor.shape or tensors[name].dtype != tensor.dtype:
            raise StateError(
                f"{path}: state key {name!r}: expected {_describe(tensor)}, got {_describe(tensors[name])}; "
                "was this file pruned or edited without its header?"
            )
    if surplus := sorted(set(tensors) - set(expected)):
        raise StateError(f"{path}: state key {surplus[0]!r} is not part of this network")
    network.load_state_dict({_attribute_name(name): tensor for name, tensor in tensors.items()})


def _tensors(network: Network) -> dict[str, Tensor]:
    if isinstance(network, OneBitJetFormer):
        stored = network.packed()
    else:
        stored = network.on_grid() if isinstance(network, FixedPointJetFormer) else network.state_dict()
    return {_file_name(name): tensor.detach().cpu().contiguous() for name, tensor in stored.items()}


def _file_name(name: str) -> str:
    """In the module, `q.weight_format` holds the format of `q.weight`; other quantisers stand for activations."""
    if name.endswith("_format.kif"):
        return name.removesuffix("_format.kif") + ".kif"
    return f"activation.{name}" if name.endswith(".kif") else name


def _attribute_name(name: str) -> str:
    if name.startswith("activation."):
        return name.removeprefix("activation.")
    return name.removesuffix(".kif") + "_format.kif" if name.endswith(".kif") else name


def _describe(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}"
