"""The networks that the Allo backend is checked on, with seeded random weights: all in fixed point, all small."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..sketch import Sketch
from ..testing import NETWORKS, random_state


def examples(folder: Path) -> dict[str, Path]:
    """JetFormer-tiny, the same pruned and with 1-bit weights, the published perceptron, a trigger network."""
    pruned = {"attention_dims": (4, 4, 4, 4), "feedforward_dims": (8, 8, 8, 8)}
    whole = {"attention_dims": (8, 8, 8, 8), "feedforward_dims": (16, 16, 16, 16)}
    return {
        "tiny": random_state(folder / "tiny.safetensors", seed=2, **whole),
        "pruned tiny": random_state(folder / "pruned.safetensors", seed=3, **pruned),
        "1-bit tiny": binarised(random_state(folder / "one_bit.safetensors", seed=4, **whole)),
        "mlp": _perceptron(folder / "mlp.safetensors"),
        "trigger": _trigger(folder / "trigger.safetensors"),
    }


def binarised(path: Path) -> Path:
    """Weights of the blocks become their sign, times a power of two that keeps their size."""
    from safetensors import safe_open
    from safetensors.numpy import save_file

    with safe_open(str(path), framework="np") as file:
        metadata, tensors = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    for name in [name for name in tensors if name.startswith("blocks.") and name.endswith(".weight")]:
        shift = -round(float(np.log2(np.abs(tensors[name]).mean())))
        signs = np.where(tensors[name] < 0, -1.0, 1.0)
        tensors[name] = (signs * 2.0**-shift).astype(np.float32)
        tensors[f"{name}.kif"] = np.array([1, 1 - shift, shift], dtype=np.int8)
    save_file(tensors, str(path), metadata=metadata)
    return path


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
