"""The networks that the Allo backend is checked on, with seeded random weights: all in fixed point, all small."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..header import Arrays, load
from ..sketch import Sketch, write
from ..testing import NETWORKS, random_state


def examples(folder: Path) -> dict[str, Path]:
    """JetFormer-tiny, the same pruned and with 1-bit weights, the published perceptron, a trigger network."""
    return {
        "tiny": _jetformer(folder / "tiny.safetensors", 2, 8, 16),
        "pruned tiny": _jetformer(folder / "pruned.safetensors", 3, 4, 8),
        "1-bit tiny": binarised(_jetformer(folder / "one_bit.safetensors", 4, 8, 16)),
        "mlp": _perceptron(folder / "mlp.safetensors"),
        "trigger": _trigger(folder / "trigger.safetensors"),
    }


def _jetformer(path: Path, seed: int, width: int, hidden: int) -> Path:
    return random_state(path, seed=seed, attention_dims=(width,) * 4, feedforward_dims=(hidden,) * 4)


def binarised(path: Path) -> Path:
    """Matrices of the blocks become constant signs, with a scale and a shift a row after them."""
    header, arrays = load(path)
    graph = []
    for entry in header["graph"]:
        if entry["op"] == "linear" and entry["name"].startswith("blocks."):
            graph += _signs_and_scales(entry, arrays)
        else:
            graph.append(entry)
    return write(path, arrays, header | {"graph": graph})


def _signs_and_scales(entry: dict[str, Any], arrays: Arrays) -> list[dict[str, Any]]:
    """The operations in place of one `linear`; the last has its name."""
    name, rows = entry["name"], {"op": "parameter", "shape": [entry["outputs"]]}
    weight = arrays.pop(f"{name}.weight")
    negative = weight < 0
    del arrays[f"{name}.weight.kif"]
    arrays[f"{name}.signs.weight"] = np.where(negative, -1, 1).astype(np.float32)
    arrays[f"{name}.signs.weight.kif"] = np.stack([negative, ~negative, 0 * negative], axis=-1).astype(
        np.int8
    )
    arrays[f"{name}.scale"] = (np.ceil(64 * np.abs(weight).mean(axis=1)) / 64).astype(np.float32)
    arrays[f"{name}.scale.kif"] = np.array([0, 4, 6], dtype=np.int8)
    scaled = f"{name}.scaled" if entry["bias"] else name
    made = [
        entry | {"name": f"{name}.signs", "bias": False, "constant": True},
        rows | {"name": f"{name}.scale", "of": []},
        {"op": "multiply", "name": scaled, "of": [f"{name}.signs", f"{name}.scale"]},
    ]
    if entry["bias"]:
        for part in ("", ".kif"):
            arrays[f"{name}.shift{part}"] = arrays.pop(f"{name}.bias{part}")
        made += [
            rows | {"name": f"{name}.shift", "of": []},
            {"op": "add", "name": name, "of": [scaled, f"{name}.shift"]},
        ]
    return made


def _perceptron(path: Path) -> Path:
    """64-32-32, as published."""
    s = Sketch(seed=5, constituents=8)
    x = s.op("reshape", "flat", s.features(), shape=[24])
    for number, width in enumerate((64, 32, 32)):
        active = s.op("relu", f"layers.{number}.active", s.linear(f"layers.{number}", x, width))
        x = s.quantise(f"layers.{number}.hidden", active, (0, 3, 5))
    s.quantise("logits", s.linear("head", x, s.classes), (1, 4, 3))
    return s.write(path)


def _trigger(path: Path) -> Path:
    s = Sketch(seed=6, constituents=8)
    NETWORKS["relu_attention"](s)
    return s.write(path)
