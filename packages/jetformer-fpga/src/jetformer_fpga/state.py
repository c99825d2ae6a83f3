"""Reads a fixed-point model state: one safetensors file with a JSON header, by the interface "model state 1.0".

No torch: the file alone holds all that the circuit needs. `read` refuses, in one sentence, what it can't build.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import StateError
from .fixed_point import Codes, Format, codes_on_grid

FORMAT = "jetformer-state"
MAJOR_VERSION = 1
MAX_TABLE_BITS = 16


@dataclass(frozen=True)
class Architecture:
    """P constituents of F features; tokens of width d; H heads; one width a and one width m for each block."""

    constituents: int
    features: int
    embed_dim: int
    heads: int
    classes: int
    attention_dims: tuple[int, ...]
    feedforward_dims: tuple[int, ...]

    @property
    def blocks(self) -> int:
        return len(self.attention_dims)

    @property
    def tokens(self) -> int:
        return self.constituents + 1

    def head_dim(self, block: int) -> int:
        return self.attention_dims[block] // self.heads


@dataclass(frozen=True)
class FixedTensor:
    """Codes and the formats of their grids."""

    codes: Codes
    format: Format

    def value(self) -> NDArray[np.float64]:
        return self.format.value(self.codes)


@dataclass(frozen=True)
class Inputs:
    """The features in order, and the numbers of their normalisation."""

    features: tuple[str, ...]
    mean: NDArray[np.float64]
    std: NDArray[np.float64]
    min_pt_gev: float


@dataclass(frozen=True)
class State:
    """A fixed-point JetFormer: `tensors` by name, `activations` by name without the prefix `activation.`."""

    architecture: Architecture
    inputs: Inputs
    class_names: tuple[str, ...]
    tensors: dict[str, FixedTensor]
    activations: dict[str, Format]
    header: dict[str, Any] = field(repr=False, default_factory=dict)

    def block(self, number: int) -> str:
        """The prefix of a block's names."""
        return f"blocks.{number}."


def read(path: str | Path) -> State:
    """Read and check a state. Raises StateError with a sentence that names the first thing that is wrong."""
    path = Path(path)
    header, arrays = _load(path)
    architecture = _architecture(path, header)
    activations = _activations(path, architecture, arrays)
    tensors = _tensors(path, architecture, activations, arrays)
    expected = set(tensors) | {f"{name}.kif" for name in tensors if not name.endswith(".sign")}
    expected |= {f"activation.{name}.kif" for name in activations}
    for name in sorted(set(arrays) - expected):
        raise StateError(f"{path}: unexpected tensor '{name}': it is no part of a fixed-point state.")
    return State(
        architecture,
        _inputs(path, architecture, header),
        _class_names(path, architecture, header),
        tensors,
        activations,
        header,
    )


def _load(path: Path) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise StateError(f"{path}: no such file; make one with `jetformer-compress quantize`.")
    _check_whole(path)
    try:
        with safe_open(str(path), framework="np") as file:
            metadata = file.metadata() or {}
            header = _header(path, metadata)
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except (SafetensorError, TypeError, ValueError) as error:
        raise StateError(f"{path}: not a readable safetensors file ({error}).") from error
    return header, arrays


def _check_whole(path: Path) -> None:
    """A safetensors file says in its first bytes how long it is; say so when it is shorter."""
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little") if size >= 8 else -1
        head = file.read(length) if 0 < length <= size - 8 else b""
    try:
        entries = json.loads(head)
        end = max((e["data_offsets"][1] for name, e in entries.items() if name != "__metadata__"), default=0)
    except (ValueError, TypeError, KeyError, AttributeError, IndexError):
        if 8 <= size < length + 8 < 100_000_000:
            raise StateError(
                f"{path}: the file is truncated ({size} bytes, the header alone needs {length + 8})."
            ) from None
        raise StateError(f"{path}: not a safetensors file.") from None
    if size < 8 + length + end:
        raise StateError(f"{path}: the file is truncated ({size} bytes instead of {8 + length + end}).")


def _header(path: Path, metadata: dict[str, str]) -> dict[str, Any]:
    try:
        header = json.loads(metadata["jetformer"])
        format_name, version, kind = header["format"], str(header["version"]), header["kind"]
    except (KeyError, ValueError, TypeError):
        raise StateError(
            f"{path}: no JetFormer header in this safetensors file; is it a model state?"
        ) from None
    if format_name != FORMAT:
        raise StateError(f"{path}: format '{format_name}', expected '{FORMAT}'.")
    if version.split(".")[0] != str(MAJOR_VERSION):
        raise StateError(
            f"{path}: state version {version}, but this jetformer-fpga reads version {MAJOR_VERSION}.x; upgrade it."
        )
    if kind == "float":
        raise StateError(f"{path}: {_why_not_float(header.get('architecture', {}))}")
    if kind != "fixed_point":
        raise StateError(f"{path}: state kind '{kind}', expected 'fixed_point'.")
    return dict(header)


def _why_not_float(architecture: dict[str, Any]) -> str:
    norm, activation = architecture.get("norm"), architecture.get("activation")
    if norm != "batch" or activation != "relu":
        return (
            f"this network has norm '{norm}' and activation '{activation}', but firmware needs batch norm and ReLU; "
            "retrain with `jetformer-model train --norm batch --activation relu`, then quantise with "
            "`jetformer-compress quantize`."
        )
    return "this is a float state; quantise it first with `jetformer-compress quantize`."


def _architecture(path: Path, header: dict[str, Any]) -> Architecture:
    raw = header.get("architecture")
    try:
        assert isinstance(raw, dict)
        architecture = Architecture(
            constituents=int(raw["constituents"]),
            features=int(raw["features"]),
            embed_dim=int(raw["embed_dim"]),
            heads=int(raw["heads"]),
            classes=int(raw["classes"]),
            attention_dims=tuple(int(a) for a in raw["attention_dims"]),
            feedforward_dims=tuple(int(m) for m in raw["feedforward_dims"]),
        )
        norm, activation = raw["norm"], raw["activation"]
    except (AssertionError, KeyError, TypeError, ValueError) as error:
        raise StateError(f"{path}: the header's architecture is incomplete or malformed ({error}).") from None
    if norm != "folded" or activation != "relu":
        raise StateError(
            f"{path}: norm '{norm}' and activation '{activation}'; a fixed-point state has 'folded' and 'relu'."
        )
    if architecture.blocks == 0 or architecture.blocks != len(architecture.feedforward_dims):
        raise StateError(f"{path}: attention_dims and feedforward_dims must be equally long and not empty.")
    positive = (
        architecture.constituents,
        architecture.features,
        architecture.embed_dim,
        architecture.heads,
        architecture.classes,
    )
    if min(positive + architecture.attention_dims + architecture.feedforward_dims) < 1:
        raise StateError(f"{path}: every dimension of the architecture must be at least 1.")
    for number, a in enumerate(architecture.attention_dims):
        if a % architecture.heads:
            raise StateError(
                f"{path}: attention_dims[{number}] = {a} is no multiple of {architecture.heads} heads."
            )
    return architecture


def _inputs(path: Path, architecture: Architecture, header: dict[str, Any]) -> Inputs:
    raw = header.get("inputs", {})
    try:
        inputs = Inputs(
            tuple(str(name) for name in raw["features"]),
            np.asarray(raw["mean"], dtype=np.float64),
            np.asarray(raw["std"], dtype=np.float64),
            float(raw.get("min_pt_gev") or 0.0),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise StateError(f"{path}: the header's inputs are incomplete or malformed ({error}).") from None
    if not len(inputs.features) == inputs.mean.size == inputs.std.size == architecture.features:
        raise StateError(
            f"{path}: the header's inputs must name {architecture.features} features, each with mean and std."
        )
    if not (np.isfinite(inputs.mean).all() and np.isfinite(inputs.std).all() and (inputs.std > 0).all()):
        raise StateError(f"{path}: the header's mean and std must be finite, and std above 0.")
    return inputs


def _class_names(path: Path, architecture: Architecture, header: dict[str, Any]) -> tuple[str, ...]:
    names = tuple(str(name) for name in header.get("class_names", ()))
    if len(names) != architecture.classes:
        raise StateError(f"{path}: {len(names)} class names for {architecture.classes} classes.")
    return names


def activation_axes(architecture: Architecture) -> dict[str, int]:
    """Every activation and the length of its last axis; 1 where there is one format for all."""
    axes = {"input": architecture.features, "tokens": architecture.embed_dim}
    for number, (a, m) in enumerate(
        zip(architecture.attention_dims, architecture.feedforward_dims, strict=True)
    ):
        attention, feedforward = f"blocks.{number}.attention.", f"blocks.{number}.feedforward."
        axes |= {attention + name: a for name in ("query", "key", "value", "attended", "weighted")}
        axes |= {attention + name: 1 for name in ("score", "exponent", "exp", "sum", "reciprocal")}
        axes |= {
            attention + "residual": architecture.embed_dim,
            feedforward + "input": architecture.embed_dim,
        }
        axes |= {feedforward + "hidden": m, feedforward + "output": architecture.embed_dim}
    return axes | {"logits": architecture.classes}


def tensor_shapes(architecture: Architecture, activations: dict[str, Format]) -> dict[str, tuple[int, ...]]:
    """Every tensor of a fixed-point state and its shape, in the order of the interface's table."""
    d, features, classes = architecture.embed_dim, architecture.features, architecture.classes
    shapes: dict[str, tuple[int, ...]] = {
        "class_token": (d,),
        "embedding.weight": (d, features),
        "embedding.bias": (d,),
    }
    for number, (a, m) in enumerate(
        zip(architecture.attention_dims, architecture.feedforward_dims, strict=True)
    ):
        attention, feedforward = f"blocks.{number}.attention.", f"blocks.{number}.feedforward."
        for name in "qkv":
            shapes |= {f"{attention}{name}.weight": (a, d), f"{attention}{name}.bias": (a,)}
        shapes |= {attention + "output.weight": (d, a), attention + "output.bias": (d,)}
        for table, source in (("exp_table", "exponent"), ("reciprocal_table", "sum")):
            shapes[attention + table] = (2 ** int(activations[attention + source].width.item()),)
        shapes |= {feedforward + "sign": (d,), feedforward + "offset": (d,)}
        shapes |= {feedforward + "expand.weight": (m, d), feedforward + "expand.bias": (m,)}
        shapes[feedforward + "contract.weight"] = (d, m)
    return shapes | {"head.weight": (classes, d), "head.bias": (classes,)}


def _format(path: Path, name: str, shape: tuple[int, ...], arrays: dict[str, NDArray[Any]]) -> Format:
    """The companion `name`: int8, last axis (k, i, f), the others broadcast against `shape`."""
    if name not in arrays:
        raise StateError(f"{path}: tensor '{name}' is missing.")
    kif = arrays[name]
    if kif.dtype != np.int8:
        raise StateError(f"{path}: tensor '{name}': expected int8, got {kif.dtype}.")
    try:
        fits = kif.shape[-1:] == (3,) and np.broadcast_shapes(kif.shape[:-1], shape) == shape
    except ValueError:
        fits = False
    if not fits:
        raise StateError(
            f"{path}: tensor '{name}': expected (..., 3) that broadcasts against {shape}, got {kif.shape}."
        )
    if not np.isin(kif[..., 0], (0, 1)).all():
        raise StateError(f"{path}: tensor '{name}': k must be 0 or 1.")
    fmt = Format.of(kif)
    if int(fmt.width.max()) > 24:
        raise StateError(
            f"{path}: tensor '{name}': a width of {int(fmt.width.max())} bits; at most 24 can be stored in float32."
        )
    return fmt


def _activations(
    path: Path, architecture: Architecture, arrays: dict[str, NDArray[Any]]
) -> dict[str, Format]:
    formats = {}
    for name, size in activation_axes(architecture).items():
        fmt = _format(path, f"activation.{name}.kif", (size,), arrays)
        formats[name] = fmt.spread((size,)) if size > 1 or fmt.k.ndim else fmt
        if name.endswith((".exponent", ".sum")):
            if fmt.k.any():
                raise StateError(
                    f"{path}: 'activation.{name}.kif': k must be 0, since it is the address of a table."
                )
            if not 0 < int(fmt.width.max()) <= MAX_TABLE_BITS:
                raise StateError(
                    f"{path}: 'activation.{name}.kif': a table needs 1 to {MAX_TABLE_BITS} address bits."
                )
    return formats


def _tensors(
    path: Path, architecture: Architecture, activations: dict[str, Format], arrays: dict[str, NDArray[Any]]
) -> dict[str, FixedTensor]:
    tensors = {}
    for name, shape in tensor_shapes(architecture, activations).items():
        if name not in arrays:
            raise StateError(f"{path}: tensor '{name}' is missing.")
        array = arrays[name]
        if array.shape != shape:
            raise StateError(
                f"{path}: tensor '{name}': expected {shape}, got {array.shape}; does the header belong to this file?"
            )
        if array.dtype != np.float32:
            raise StateError(f"{path}: tensor '{name}': expected float32, got {array.dtype}.")
        if name.endswith(".sign"):
            if not np.isin(array, (-1, 1)).all():
                raise StateError(f"{path}: tensor '{name}': every entry must be -1 or 1.")
            tensors[name] = FixedTensor(array.astype(np.int64), Format.of([1, 1, 0]))
            continue
        # The entries of a table lie on the grid of what they stand for; a companion may repeat it.
        table = activations.get(name.removesuffix("_table")) if name.endswith("_table") else None
        own = f"{name}.kif" in arrays or table is None
        fmt = _format(path, f"{name}.kif", shape, arrays) if own else table
        assert fmt is not None
        codes, good = codes_on_grid(array, fmt)
        if not good.all():
            place = tuple(int(axis) for axis in np.argwhere(~good)[0])
            kif = tuple(int(part) for part in fmt.spread(shape).kif()[place])
            raise StateError(
                f"{path}: tensor '{name}'[{place}] = {array[place]} is not on its grid (k, i, f) = {kif}."
            )
        tensors[name] = FixedTensor(codes, fmt)
    return tensors
