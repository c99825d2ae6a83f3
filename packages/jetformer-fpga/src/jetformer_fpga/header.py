"""The file and the JSON header of a state: whole, of a known format, in fixed point, with inputs and classes.

No torch: a safetensors file alone holds all that the circuit needs.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import StateError

Arrays = dict[str, NDArray[Any]]
FORMAT = "jetformer-state"
READABLE_VERSIONS = ("1", "2")  # float states have not changed since 1.1


@dataclass(frozen=True)
class Inputs:
    """The features in order, and the numbers of their normalisation."""

    features: tuple[str, ...]
    mean: NDArray[np.float64]
    std: NDArray[np.float64]
    min_pt_gev: float


def load(path: Path) -> tuple[dict[str, Any], Arrays]:
    """Header and tensors of a fixed-point state."""
    header, arrays = read(path)
    kind = header["kind"]
    if kind == "float":
        raise StateError(f"{path}: {_why_not_float(header.get('architecture', {}))}")
    if kind != "fixed_point":
        raise StateError(
            f"{path}: state kind '{kind}', expected 'fixed_point'; quantise it first with `jetformer-compress quantize`."
        )
    if _major(header) == "1":
        raise StateError(
            f"{path}: a fixed-point state of version {header['version']}, which holds no graph; quantise the float state "
            "again with this release of jetformer-compress."
        )
    return header, arrays


def read(path: Path) -> tuple[dict[str, Any], Arrays]:
    """Header and tensors of a state of any kind."""
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
        format_name, _, _ = header["format"], header["version"], header["kind"]
    except (KeyError, ValueError, TypeError):
        raise StateError(
            f"{path}: no JetFormer header in this safetensors file; is it a model state?"
        ) from None
    if format_name != FORMAT:
        raise StateError(f"{path}: format '{format_name}', expected '{FORMAT}'.")
    if _major(header) not in READABLE_VERSIONS:
        raise StateError(
            f"{path}: state version {header['version']}, but this jetformer-fpga reads versions up to "
            f"{READABLE_VERSIONS[-1]}.x; upgrade it."
        )
    return dict(header)


def _major(header: dict[str, Any]) -> str:
    return str(header["version"]).split(".")[0]


def _why_not_float(architecture: dict[str, Any]) -> str:
    norm, activation = architecture.get("norm", "batch"), architecture.get("activation", "relu")
    if norm != "batch" or activation != "relu":
        return (
            f"this network has norm '{norm}' and activation '{activation}', but firmware needs batch norm and ReLU; "
            "retrain with `jetformer-model train --norm batch --activation relu`, then quantise with "
            "`jetformer-compress quantize`."
        )
    return "this is a float state; quantise it first with `jetformer-compress quantize`."


def inputs_of(path: Path, header: dict[str, Any]) -> Inputs:
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
    if not 0 < len(inputs.features) == inputs.mean.size == inputs.std.size:
        raise StateError(
            f"{path}: the header's inputs must name at least one feature, each with mean and std."
        )
    if not (np.isfinite(inputs.mean).all() and np.isfinite(inputs.std).all() and (inputs.std > 0).all()):
        raise StateError(f"{path}: the header's mean and std must be finite, and std above 0.")
    return inputs


def class_names_of(path: Path, header: dict[str, Any]) -> tuple[str, ...]:
    names = header.get("class_names")
    if not isinstance(names, list) or not names:
        raise StateError(f"{path}: the header's class_names must be a list of at least one name.")
    return tuple(str(name) for name in names)
