"""The optimiser and the schedules of its learning rate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn
from torch.optim import lr_scheduler

from jetformer_model.errors import ModelError

Scheduler = Literal["onecycle", "cosine", "plateau"]
SCHEDULERS: tuple[Scheduler, ...] = ("onecycle", "cosine", "plateau")


@dataclass(frozen=True)
class Recipe:
    """How to train. The defaults are the published ones, but for what decays.

    learning_rate: the highest
    scheduler: "onecycle": cosine up from a 25th and down to a 10,000th of the start, stepped a batch; "cosine": down to 0,
        stepped an epoch; "plateau": times `plateau_factor` after `plateau_patience` epochs without a better validation
        loss, not below 1e-4
    beta1, beta2: of AdamW
    warm_up: the share of OneCycle's steps before the peak
    decay_all: weight decay on norms, biases and the class token too, as published; they have no reason to be small
    clip_norm: longest gradient, over all parameters together; None: as it is
    patience: epochs without a better validation loss before training stops
    precision: "bf16" computes products in bfloat16 (autocast); weights and sums stay float32
    """

    epochs: int = 25
    batch_size: int = 256
    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    warm_up: float = 0.2
    patience: int = 4
    seed: int = 0
    scheduler: Scheduler = "onecycle"
    decay_all: bool = False
    clip_norm: float | None = None
    precision: Literal["fp32", "bf16"] = "fp32"
    plateau_factor: float = 0.5
    plateau_patience: int = 2
    beta1: float = 0.9
    beta2: float = 0.999

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "patience"):
            if getattr(self, name) < 1:
                raise ModelError(f"recipe {name!r}: expected at least 1, got {getattr(self, name)}")
        for name in ("learning_rate", "clip_norm"):
            if getattr(self, name) is not None and not getattr(self, name) > 0:
                raise ModelError(f"recipe {name!r}: expected more than 0, got {getattr(self, name)}")
        for name, known in (("scheduler", SCHEDULERS), ("precision", ("fp32", "bf16"))):
            if getattr(self, name) not in known:
                raise ModelError(
                    f"recipe {name!r}: expected one of {', '.join(known)}, got {getattr(self, name)!r}"
                )


def make_optimiser(network: nn.Module, recipe: Recipe) -> torch.optim.AdamW:
    """AdamW; matrices decay, and nothing else does unless the recipe says so."""
    parameters = dict(network.named_parameters())
    decays = {name for name, parameter in parameters.items() if recipe.decay_all or parameter.dim() > 1}
    groups = [
        {"params": [p for name, p in parameters.items() if (name in decays) == chosen], "weight_decay": decay}
        for chosen, decay in ((True, recipe.weight_decay), (False, 0.0))
    ]
    on_gpu = any(parameter.is_cuda for parameter in parameters.values())
    return torch.optim.AdamW(
        [group for group in groups if group["params"]],
        lr=recipe.learning_rate,
        betas=(recipe.beta1, recipe.beta2),
        fused=on_gpu or None,  # one kernel instead of many; on a CPU as PyTorch prefers
    )


class Schedule:
    """A schedule of PyTorch with one way to be told what happened: `after_step()` and `after_epoch(validation_loss)`."""

    def __init__(self, optimiser: torch.optim.Optimizer, recipe: Recipe, steps: int) -> None:
        self.after_step: Callable[[], None] = lambda: None
        self.after_epoch: Callable[[float], None] = lambda validation_loss: None
        if recipe.scheduler == "onecycle":
            cycle = lr_scheduler.OneCycleLR(
                optimiser,
                recipe.learning_rate,
                total_steps=steps,
                # PyTorch divides by zero where the warm-up is one step.
                pct_start=recipe.warm_up + (1e-6 if recipe.warm_up * steps == 1 else 0),
                div_factor=25,
                final_div_factor=1e4,
            )
            self.schedule: lr_scheduler.LRScheduler = cycle
            self.after_step = cycle.step
        elif recipe.scheduler == "cosine":
            cosine = lr_scheduler.CosineAnnealingLR(optimiser, T_max=recipe.epochs)
            self.schedule = cosine
            self.after_epoch = lambda validation_loss: cosine.step()
        else:
            plateau = lr_scheduler.ReduceLROnPlateau(
                optimiser, factor=recipe.plateau_factor, patience=recipe.plateau_patience, min_lr=1e-4
            )
            self.schedule = plateau
            self.after_epoch = plateau.step
