"""The published route: a float network through Allo's PyTorch frontend, the baseline of the scheduled program.

`module` writes a state's network with nothing but what that frontend takes: linear layers with biases, BatchNorm1d over
channels, ReLU, softmax and log_softmax over the last axis, a repeated class token put before the constituents, 4-D
products, a leaf that cuts the class token out. The batch is part of the program, as published: 2, 16, 32. Like the published
one it has no mask, so it is JetFormer's answer for jets with all P constituents. Output: log-probabilities.

PyTorch is imported inside the functions.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import StateError, ToolError
from ..header import read
from .worker import restore_isinstance

EPSILON = 1e-5  # of the batch norms
TOLERANCE = 1e-5  # between two float32 answers
Tensors = dict[str, NDArray[np.float32]]


def module(path: str | Path, batch: int) -> Any:
    """A torch.nn.Module: x [batch, P, F], normalised -> log-probabilities [batch, C]. Raises StateError, ToolError."""
    header, tensors = _read(Path(path))
    architecture = header["architecture"]
    name = str(architecture.get("name", "jetformer"))
    if name not in BUILDERS:
        raise StateError(f"{path}: a float {name} can't go through Allo; expected {' or '.join(BUILDERS)}.")
    try:
        return BUILDERS[name](_torch(), architecture, tensors, batch).eval()
    except StateError as error:
        raise StateError(f"{path}: {error}") from None


def build(path: str | Path, batch: int, target: str = "llvm", project: str = "top.prj") -> Any:
    """What Allo makes of it; call it with x. `target` llvm, vhls, or mlir for the schedule. Needs Allo in this Python."""
    network = module(path, batch)
    try:
        frontend = import_module("allo.frontend.pytorch")
    except ImportError as error:
        raise ToolError(
            f"Allo can't be imported here ({error}); docs/fpga/allo.md says how to get it."
        ) from error
    restore_isinstance()
    leaves = [type(leaf) for leaf in network.modules() if type(leaf).__name__ == "SliceClsToken"]
    example = [_torch().zeros(network.input_shape)]
    return frontend.from_pytorch(
        network, example_inputs=example, leaf_modules=leaves, target=target, project=project
    )


def _torch() -> Any:
    try:
        return import_module("torch")
    except ImportError as error:
        raise ToolError("Allo's float path needs PyTorch; install it with: pip install torch") from error


def _read(path: Path) -> tuple[dict[str, Any], Tensors]:
    header, arrays = read(path)
    if header["kind"] != "float":
        raise StateError(f"{path}: the float path takes a float state, got kind '{header['kind']}'.")
    return header, {name: array.astype(np.float32) for name, array in arrays.items()}


def _jetformer(torch: Any, a: dict[str, Any], tensors: Tensors, batch: int) -> Any:
    """The formula of JetFormer; the scale 1 / sqrt(a / H) is folded into W_q."""
    if (a.get("norm", "batch"), a.get("activation", "relu")) != ("batch", "relu"):
        raise StateError("Allo's float path knows JetFormers with batch norm and ReLU only.")
    functional = import_module("torch.nn.functional")
    parts = _Parts(torch, tensors)
    tokens, d, heads = int(a["constituents"]) + 1, int(a["embed_dim"]), int(a["heads"])

    class SliceClsToken(torch.nn.Module):
        """Cuts the class token out; Allo's frontend knows a leaf by this name."""

        def forward(self, x: Any) -> Any:
            return x[:, 0, :]

    class Block(torch.nn.Module):
        def __init__(self, number: int) -> None:
            super().__init__()
            at = f"blocks.{number}."
            width, hidden = int(a["attention_dims"][number]), int(a["feedforward_dims"][number])
            self.width, self.head = width, width // heads
            self.norm = parts.norm(f"{at}attention.norm", d)
            self.q = parts.linear(f"{at}attention.q", d, width, False, (width // heads) ** -0.5)
            self.k, self.v = (parts.linear(f"{at}attention.{name}", d, width, False) for name in "kv")
            self.output = parts.linear(f"{at}attention.output", width, d)
            self.feedforward_norm = parts.norm(f"{at}feedforward.norm", d)
            self.expand = parts.linear(f"{at}feedforward.expand", d, hidden, False)
            self.expand_norm = parts.norm(f"{at}feedforward.expand_norm", hidden)
            self.contract = parts.linear(f"{at}feedforward.contract", hidden, d, False)

        def split(self, x: Any) -> Any:
            return x.view(batch, tokens, heads, self.head)

        def forward(self, x: Any) -> Any:
            h = _normed(self.norm, x)
            q = self.split(self.q(h)).permute(0, 2, 1, 3)
            k = self.split(self.k(h)).permute(0, 2, 3, 1)
            v = self.split(self.v(h)).permute(0, 2, 1, 3)
            mixed = torch.matmul(functional.softmax(torch.matmul(q, k), dim=-1), v)
            x = x + self.output(mixed.permute(0, 2, 1, 3).reshape(batch, tokens, self.width))
            live = functional.relu(_normed(self.feedforward_norm, x))
            hidden = functional.relu(_normed(self.expand_norm, self.expand(live)))
            return x + self.contract(hidden)

    class JetFormer(torch.nn.Module):
        input_shape = (batch, tokens - 1, int(a["features"]))

        def __init__(self) -> None:
            super().__init__()
            class_token = parts.tensor("class_token", d).reshape(1, 1, d)
            self.class_token = torch.nn.Parameter(class_token, requires_grad=False)
            self.embedding = parts.linear("embedding", int(a["features"]), d)
            self.blocks = torch.nn.Sequential(*(Block(n) for n in range(len(a["attention_dims"]))))
            self.cut = SliceClsToken()
            self.norm = parts.norm("head.norm", d)
            self.head = parts.linear("head.linear", d, int(a["classes"]))

        def forward(self, x: Any) -> Any:
            joined = torch.cat((self.class_token.repeat(batch, 1, 1), self.embedding(x)), dim=1)
            return functional.log_softmax(self.head(self.norm(self.cut(self.blocks(joined)))), dim=-1)

    return JetFormer()


def _normed(norm: Any, x: Any) -> Any:
    """BatchNorm1d wants channels before tokens."""
    return norm(x.transpose(1, 2)).transpose(1, 2)


def _particle_mlp(torch: Any, a: dict[str, Any], tensors: Tensors, batch: int) -> Any:
    functional = import_module("torch.nn.functional")
    parts = _Parts(torch, tensors)
    inputs = int(a["constituents"]), int(a["features"])
    widths = [math.prod(inputs)]  # the header has those alone that are not the published ones
    while (bias := tensors.get(f"layers.layers.{len(widths) - 1}.bias")) is not None:
        widths.append(len(bias))

    class ParticleMLP(torch.nn.Module):
        input_shape = (batch, *inputs)

        def __init__(self) -> None:
            super().__init__()
            layers = (parts.linear(f"layers.layers.{n}", *sizes) for n, sizes in enumerate(pairwise(widths)))
            self.layers = torch.nn.ModuleList(layers)

        def forward(self, x: Any) -> Any:
            x = x.view(batch, inputs[0] * inputs[1])
            for layer in self.layers[:-1]:
                x = functional.relu(layer(x))
            return functional.log_softmax(self.layers[-1](x), dim=-1)

    return ParticleMLP()


class _Parts:
    """Layers of Allo's kind from the tensors of a state."""

    def __init__(self, torch: Any, tensors: Tensors) -> None:
        self.torch, self.tensors = torch, tensors

    def tensor(self, name: str, *shape: int) -> Any:
        if name not in self.tensors:
            raise StateError(f"tensor '{name}' is missing.")
        if self.tensors[name].shape != shape:
            raise StateError(f"tensor '{name}': expected {shape}, got {self.tensors[name].shape}.")
        return self.torch.from_numpy(self.tensors[name].copy())

    def linear(self, name: str, inputs: int, outputs: int, bias: bool = True, scale: float = 1.0) -> Any:
        """With a bias always, zeros where the state has none: without one the frontend takes another way, which knows fewer
        shapes."""
        made = self.torch.nn.Linear(inputs, outputs)
        with self.torch.no_grad():
            made.weight.copy_(self.tensor(f"{name}.weight", outputs, inputs) * scale)
            made.bias.copy_(self.tensor(f"{name}.bias", outputs)) if bias else made.bias.zero_()
        return made.requires_grad_(False)

    def norm(self, name: str, channels: int) -> Any:
        made = self.torch.nn.BatchNorm1d(channels, eps=EPSILON)
        with self.torch.no_grad():
            for part in ("weight", "bias", "running_mean", "running_var"):
                getattr(made, part).copy_(self.tensor(f"{name}.{part}", channels))
        made.num_batches_tracked = None  # a scalar that the frontend would make a constant of
        return made.requires_grad_(False)


BUILDERS: dict[str, Callable[[Any, dict[str, Any], Tensors, int], Any]] = {
    "jetformer": _jetformer,
    "mlp": _particle_mlp,
    "mlp-tiny": _particle_mlp,
}


def main(path: str, batch: int) -> dict[str, float]:
    """The largest difference between Allo's answer and PyTorch's, on seeded inputs, and how many jets differ too much."""
    torch = _torch()
    network = module(path, batch)
    x = torch.from_numpy(np.random.default_rng(1).normal(size=network.input_shape).astype(np.float32))
    errors = np.abs(np.asarray(build(path, batch)(x.numpy())) - network(x).numpy()).max(axis=1)
    different = ~(errors <= TOLERANCE)  # also where it is no number
    return {"jets": batch, "mismatches": int(different.sum()), "max_error": float(errors.max())}


if __name__ == "__main__":
    import sys

    print(json.dumps(main(sys.argv[1], int(sys.argv[2]))))
