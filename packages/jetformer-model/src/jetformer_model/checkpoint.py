"""Training that is killed and started again goes on after its last whole epoch, with the bits of an undisturbed run.

A checkpoint is a .safetensors file: the network, the best weights so far, the optimiser's moments and the random generators
as tensors, the rest as JSON in its metadata.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from jetformer_model.errors import ModelError


@dataclass(frozen=True)
class MovingParts:
    """What a training step changes."""

    network: nn.Module
    optimiser: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler
    generator: torch.Generator


class Checkpoint:
    """Where one training keeps its parts. `purpose` says what is trained how: another purpose's file is neither taken up nor
    written over."""

    def __init__(self, path: Path, purpose: dict[str, Any]) -> None:
        self.path = path
        self.purpose = json.loads(json.dumps(purpose))

    def save(self, parts: MovingParts, best: dict[str, Tensor], history: list[dict[str, Any]]) -> None:
        """Replace the file; a kill while writing leaves the one before."""
        optimiser = parts.optimiser.state_dict()
        tensors = {f"network.{name}": tensor for name, tensor in parts.network.state_dict().items()}
        tensors |= {f"best.{name}": tensor for name, tensor in best.items()}
        for index, moments in optimiser["state"].items():
            tensors |= {f"optimiser.{index}.{name}": tensor for name, tensor in moments.items()}
        tensors["generator"] = parts.generator.get_state()
        tensors["global_generator"] = torch.get_rng_state()
        facts = {
            "purpose": self.purpose,
            "history": history,
            "groups": optimiser["param_groups"],
            "schedule": {
                k: v for k, v in parts.schedule.state_dict().items() if isinstance(v, int | float | list)
            },
        }
        temporary = self.path.with_name(f".{self.path.name}.tmp")
        save_file(
            {name: t.detach().clone().contiguous() for name, t in tensors.items()}, temporary, _pack(facts)
        )
        os.replace(temporary, self.path)

    def restore(self, parts: MovingParts) -> tuple[dict[str, Tensor], list[dict[str, Any]]] | None:
        """Bring all parts back to the last whole epoch and return (best weights, history); None if there is no such file.

        history: one JSON object an epoch, as saved.
        Raises ModelError if the file is another training's.
        """
        if not self.path.exists():
            return None
        try:
            with safe_open(self.path, framework="pt") as file:
                facts = json.loads(file.metadata()["training"])
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
        except (SafetensorError, KeyError, TypeError, ValueError, OSError):
            return None
        if facts["purpose"] != self.purpose:
            raise ModelError(
                f"{self.path}: was left by a training with other settings or jets; finish it with those, or remove it"
            )
        moments: dict[int, dict[str, Tensor]] = {}
        for name, tensor in _under("optimiser.", tensors).items():
            index, _, moment = name.partition(".")
            moments.setdefault(int(index), {})[moment] = tensor
        parts.network.load_state_dict(_under("network.", tensors))
        parts.optimiser.load_state_dict({"state": moments, "param_groups": facts["groups"]})
        parts.schedule.load_state_dict(facts["schedule"])
        parts.generator.set_state(tensors["generator"])
        torch.set_rng_state(tensors["global_generator"])
        return _under("best.", tensors), facts["history"]


def fingerprint(*tensors: Tensor) -> str:
    """SHA-256 of the tensors' shapes and bytes: what a training starts from."""
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(repr(tuple(tensor.shape)).encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _pack(facts: dict[str, Any]) -> dict[str, str]:
    return {"training": json.dumps(facts)}


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
