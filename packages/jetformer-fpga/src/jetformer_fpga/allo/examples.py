"""The networks that the Allo backend is checked on, with seeded random weights: all in fixed point, all small."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..sketch import Sketch
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
