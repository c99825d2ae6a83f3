"""Structured pruning on torch-pruning: fewer dimensions in each head (or fewer heads), in each hidden layer and, if wanted,
in the residual stream, in steps with fine-tuning after each. The published recipe: ratio 0.5 in 5 steps of 5 epochs.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import torch

from jetformer_compress.cutting import choose, cut_out
from jetformer_compress.errors import CompressError
from jetformer_compress.importance import score
from jetformer_compress.pruning_plan import Pruning, plan, step_plan
from jetformer_compress.pruning_steps import Step, Steps
from jetformer_model.config import Architecture
from jetformer_model.dataset import TaggingData
from jetformer_model.network import JetFormer
from jetformer_model.state import State
from jetformer_model.training import QUIET, Epoch, Recipe, Run, TrainingResult, fit

RECIPE = Recipe(epochs=5, warm_up=0.3)


def prune(
    state: State,
    data: TaggingData,
    pruning: Pruning | None = None,
    recipe: Recipe = RECIPE,
    run: Run = QUIET,
    *,
    after_step: Callable[[Step], object] = bool,
) -> TrainingResult:
    """Prune a float JetFormer in steps with fine-tuning after each; the given state is left as it is.

    The history holds the epochs of all steps, the best epoch is one of the last step. Only training and validation jets are
    used.
    run: its checkpoint is a folder, where the network is kept before and after each step's fine-tuning and after each epoch,
        and taken up from if it is there
    after_step: told of each step, of those taken up too
    Raises CompressError for a network that cannot be pruned so, or a folder that another pruning has left.
    """
    pruning = pruning or Pruning()
    network = prunable(state)
    original = network.architecture
    plan(original, pruning)
    steps = Steps(run.checkpoint, state, data, pruning, recipe)
    history: list[Epoch] = []
    last: tuple[Epoch, ...] = ()
    for number in range(1, pruning.steps + 1):
        step = steps.found(number)
        if step is None:
            scores = score(network, data.train, pruning, recipe, run.process.device)
            cut = choose(network.architecture, step_plan(original, pruning, number), scores, pruning)
            step = steps.keep(Step(number, cut_out(network, cut, data.train)))
        if not step.fine_tuned:
            is_last = number == pruning.steps
            epochs = (is_last and pruning.last_epochs) or recipe.epochs
            fine_tuning = dataclasses.replace(recipe, epochs=epochs)
            title = f"pruning step {number}/{pruning.steps}"
            its_run = dataclasses.replace(run, title=title, checkpoint=steps.checkpoint(number))
            tuned, _ = fit(step.network, data.train, data.validation, fine_tuning, its_run)
            step = steps.keep(dataclasses.replace(step, history=tuned))
        after_step(step)
        network = step.network
        last = tuple(dataclasses.replace(epoch, epoch=len(history) + epoch.epoch) for epoch in step.history)
        history += last
    best = min(last, key=lambda epoch: epoch.validation_loss)
    return TrainingResult(
        dataclasses.replace(state, network=network, metrics=best.metrics), tuple(history), best
    )


def foresee(
    state: State,
    data: TaggingData,
    pruning: Pruning,
    recipe: Recipe = RECIPE,
    device: torch.device | None = None,
) -> Architecture:
    """What `prune` would leave if all went at once. Exact for the scope "layer"; for "global" the sums of widths, and with
    them FLOPs and parameters, are, while fine-tuning may still move shares between blocks."""
    network = prunable(state)
    after = plan(network.architecture, pruning)
    if pruning.scope == "layer":
        return after
    scores = score(network, data.train, pruning, recipe, device or torch.device("cpu"))
    return choose(network.architecture, after, scores, pruning).architecture


def prunable(state: State) -> JetFormer:
    """The network of a float JetFormer. Raises CompressError for any other."""
    if state.kind != "float":
        kind = state.kind.replace("_", "-")
        raise CompressError(f"a {kind} network cannot be pruned; prune the float state that it was made from")
    if not isinstance(state.network, JetFormer):
        raise CompressError(f"only JetFormers can be pruned, and this is a {state.name}")
    return state.network
