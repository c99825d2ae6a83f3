"""Makes valid fixed-point states of any shape with random weights, for tests and for trying the tools."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .fixed_point import Format, quantise_real
from .state import Architecture, activation_axes, tensor_shapes

FEATURES = ("pt", "etarel", "phirel")
CLASSES = ("g", "q", "W", "Z", "t")


def random_state(
    path: str | Path,
    *,
    seed: int,
    constituents: int = 8,
    features: int = 3,
    embed_dim: int = 8,
    heads: int = 2,
    attention_dims: Sequence[int] = (4, 4, 4, 4),
    feedforward_dims: Sequence[int] = (8, 8, 8, 8),
    classes: int = 5,
    weight_bits: int = 6,
    activation_bits: int = 8,
) -> Path:
    """Write a valid fixed-point state with seeded random weights, scaled so that signals are alive in every layer.

    Weights have one format an output channel, biases and offsets one a number, activations alternate between two
    neighbouring formats from channel to channel: all the freedoms of the interface are used.
    """
    rng = np.random.default_rng(seed)
    dims = (tuple(attention_dims), tuple(feedforward_dims))
    architecture = Architecture(constituents, features, embed_dim, heads, classes, *dims)
    kifs = {
        name: _activation_kif(name, size, activation_bits)
        for name, size in activation_axes(architecture).items()
    }
    formats = {name: Format.of(kif) for name, kif in kifs.items()}
    arrays: dict[str, NDArray[Any]] = {f"activation.{name}.kif": kif for name, kif in kifs.items()}
    for name, shape in tensor_shapes(architecture, formats).items():
        arrays |= _tensor(rng, name, shape, formats, weight_bits, activation_bits)
    _write(Path(path), arrays, _header(architecture))
    return Path(path)


def _activation_kif(name: str, size: int, bits: int) -> NDArray[np.int8]:
    kind = name.rsplit(".", 1)[-1]
    table_bits = min(bits, 8)
    single = {
        "score": (1, 3, bits - 4),
        "exponent": (0, 3, table_bits - 3 if table_bits < 6 else 3),
        "exp": (0, 1, bits - 1),
        "sum": (0, 4, table_bits - 4),
        "reciprocal": (0, 1, bits - 1),
    }
    if kind in single:
        return np.array(single[kind], dtype=np.int8)
    signed = 0 if name.endswith("feedforward.input") or kind == "hidden" else 1
    integers = 4 if kind in ("weighted", "logits") else 2
    kif = np.array(
        [[signed, integers + channel % 2, bits - signed - integers - channel % 2] for channel in range(size)]
    )
    return kif.astype(np.int8)


def _tensor(
    rng: np.random.Generator,
    name: str,
    shape: tuple[int, ...],
    formats: dict[str, Format],
    weight_bits: int,
    activation_bits: int,
) -> dict[str, NDArray[Any]]:
    if name.endswith(".sign"):
        return {name: rng.choice(np.array([-1, 1], dtype=np.float32), size=shape)}
    if name.endswith("_table"):
        return _table(name, shape[0], formats)
    if len(shape) == 2:
        values = rng.normal(0.0, 1.2 / np.sqrt(shape[1]), size=shape)
        magnitude = np.ceil(np.log2(np.abs(values).max(axis=1, keepdims=True) + 1e-9)).astype(np.int64)
        kif = np.stack([np.ones_like(magnitude), magnitude, weight_bits - 1 - magnitude], axis=-1)
    else:
        values = rng.normal(0.0, 0.5, size=shape)
        kif = np.tile(np.array([1, 1, activation_bits - 2]), (shape[0], 1))
    fmt = Format.of(kif)
    values = fmt.value(quantise_real(values, fmt))
    return {name: values.astype(np.float32), f"{name}.kif": kif.astype(np.int8)}


def _table(name: str, size: int, formats: dict[str, Format]) -> dict[str, NDArray[Any]]:
    """exp_table[n] = Q[exp](exp(-n 2^-f)); reciprocal_table[n] = Q[reciprocal](1 / (n 2^-f)), entry 0 repeats entry 1."""
    prefix = name.rsplit(".", 1)[0]
    is_exp = name.endswith("exp_table")
    source, target = (
        f"{prefix}.{part}" for part in (("exponent", "exp") if is_exp else ("sum", "reciprocal"))
    )
    numbers = np.arange(size) if is_exp else np.maximum(np.arange(size), 1)
    x = formats[source].value(numbers)
    entries = formats[target].value(quantise_real(np.exp(-x) if is_exp else 1 / x, formats[target]))
    return {name: entries.astype(np.float32)}


def _header(architecture: Architecture) -> dict[str, Any]:
    features = [FEATURES[n] if n < len(FEATURES) else f"feature{n}" for n in range(architecture.features)]
    scale = {"pt": (60.0, 80.0, "GeV"), "etarel": (0.0, 0.08, "1"), "phirel": (0.0, 0.08, "rad")}
    numbers = [scale.get(name, (0.0, 1.0, "1")) for name in features]
    return {
        "format": "jetformer-state",
        "version": "1.0",
        "kind": "fixed_point",
        "architecture": {
            "name": "jetformer",
            "constituents": architecture.constituents,
            "features": architecture.features,
            "embed_dim": architecture.embed_dim,
            "heads": architecture.heads,
            "classes": architecture.classes,
            "attention_dims": list(architecture.attention_dims),
            "feedforward_dims": list(architecture.feedforward_dims),
            "norm": "folded",
            "activation": "relu",
            "dropout": 0.0,
        },
        "inputs": {
            "features": features,
            "units": [unit for _, _, unit in numbers],
            "mean": [mean for mean, _, _ in numbers],
            "std": [std for _, std, _ in numbers],
            "min_pt_gev": 0.0,
        },
        "class_names": [CLASSES[n] if n < len(CLASSES) else f"class{n}" for n in range(architecture.classes)],
        "metrics": {},
        "provenance": {"program": "jetformer_fpga.testing.random_state"},
    }


def _write(path: Path, arrays: dict[str, NDArray[Any]], header: dict[str, Any]) -> None:
    """To a temporary file beside the target, then renamed, as the interface asks."""
    from safetensors.numpy import save_file

    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    save_file(contiguous, str(temporary), metadata={"jetformer": json.dumps(header)})
    os.replace(temporary, path)
