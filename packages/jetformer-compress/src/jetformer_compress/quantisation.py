"""Fixed-point quantisation-aware training: lower, calibrate, then train with every number on its grid.

`quantize` trains in formats of given widths, `quantize_to_budget` lets training choose the widths.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from jetformer_compress.budget import Budget
from jetformer_compress.calibration import Widths, calibrate, calibrated
from jetformer_compress.distillation import loss_with_teacher
from jetformer_compress.ebops import ebops, mean_bits
from jetformer_compress.errors import CompressError
from jetformer_compress.learned_widths import learn, settled
from jetformer_compress.lowering import lower
from jetformer_model.dataset import Dataset, TaggingData
from jetformer_model.distributed import ALONE
from jetformer_model.fixed_point import FixedPointNetwork
from jetformer_model.gradients import Loss, cross_entropy
from jetformer_model.state import State
from jetformer_model.training import QUIET, Epoch, Recipe, Run, TrainingResult, fit, predict

CALIBRATION_JETS = 4096
# On 24,000 generated jets (6-bit weights, 8-bit activations) a peak of 4e-3 lost 0.6 points of accuracy, 2e-3 1.1, 5e-4 2.5.
RECIPE = Recipe(epochs=20, learning_rate=4e-3, patience=20)
# What learned widths start from: about what changes no logit much.
WIDE = Widths(weights=7, activations=8, weights_share="element")
# The share of epochs that train within the widths once they are chosen.
SETTLING = 1 / 3


def quantize(
    state: State,
    data: TaggingData,
    widths: Widths | None = None,
    recipe: Recipe = RECIPE,
    run: Run = QUIET,
    *,
    teacher: State | None = None,
) -> TrainingResult:
    """A fixed-point state from a float one: post-training formats first, then training within them.

    teacher: a larger float state to learn from, see `distillation`
    The epoch with the best validation loss is kept. Raises CompressError if the state is already in fixed point or cannot be
    lowered.
    """
    network = post_training(state, data.train, widths or Widths())
    loss = _loss(teacher, state, run)
    return _trained(state, network, data, recipe, loss, dataclasses.replace(run, title="quantised training"))


def quantize_to_budget(
    state: State,
    data: TaggingData,
    budgets: Sequence[float],
    widths: Widths = WIDE,
    recipe: Recipe = RECIPE,
    run: Run = QUIET,
    *,
    learn_ranges: bool = True,
    teacher: State | None = None,
) -> Iterator[TrainingResult]:
    """A fixed-point state for each budget of EBOPs, its widths chosen by training; falling budgets give a front.

    budgets: each is met: no network has more EBOPs
    widths: where widths start, and which numbers share one
    recipe: of each budget; two thirds of its epochs choose widths, the rest train within them
    run: its checkpoint gives two files a budget their names
    learn_ranges: whether activations learn their integer bits too, or keep those of calibration
    """
    network = lower(state.network)
    learn(network, calibrated(network, data.train.head(CALIBRATION_JETS), widths), widths, learn_ranges)
    loss = _loss(teacher, state, run)
    choosing = dataclasses.replace(
        recipe, epochs=max(1, round(recipe.epochs * (1 - SETTLING))), weight_decay=0.0
    )
    within = dataclasses.replace(recipe, epochs=max(1, recipe.epochs - choosing.epochs))
    for number, budget in enumerate(budgets, 1):
        title, kept = f"widths for {budget:,.0f} EBOPs", run.checkpoint
        files = [kept and kept.with_name(f"{kept.name}{number}{part}") for part in ("a", "b")]
        choice, rest = (dataclasses.replace(run, title=title, checkpoint=file) for file in files)
        first = _choose_widths(network, data, budget, choosing, loss, choice)
        chosen = settle(network, lower(state.network), budget)
        result = _trained(state, chosen, data, within, loss, rest)
        later = tuple(dataclasses.replace(e, epoch=len(first) + e.epoch) for e in result.history)
        yield dataclasses.replace(result, history=(*first, *later))


def settle(network: FixedPointNetwork, empty: FixedPointNetwork, budget: float) -> FixedPointNetwork:
    """The network in the formats that it has learned, all of them narrower by as little as the budget asks for.

    empty: a network of the same graph, to be filled
    Raises CompressError if no formats meet the budget.
    """
    empty.load_weights({name: network.weight(name) for name in network.graph.parameter_shapes()})

    def cost(shift: float) -> float:
        empty.set_formats(settled(network, shift))
        return float(ebops(empty).detach())

    fits, too_wide = -16.0, 0.0
    if cost(too_wide) > budget:
        if cost(fits) > budget:
            raise CompressError(
                f"{budget:,.0f} EBOPs are too few for this network, {cost(fits):,.0f} the least"
            )
        for _ in range(16):
            middle = (fits + too_wide) / 2
            fits, too_wide = (middle, too_wide) if cost(middle) <= budget else (fits, middle)
        cost(fits)
    return empty


def budgets_to(
    state: State, training: Dataset, widths: Widths, ebops_wanted: float, number: int
) -> list[float]:
    """So many budgets, each the same part of the one before, from below the EBOPs of `widths` down to the wanted ones."""
    if number == 1:
        return [ebops_wanted]
    first = measures(post_training(state, training, widths))["ebops"]
    return [first * (ebops_wanted / first) ** (step / number) for step in range(1, number + 1)]


def untrained(state: State, data: TaggingData, widths: Widths) -> TrainingResult:
    """A fixed-point state by calibration alone; its only epoch has the number 0."""
    network = post_training(state, data.train, widths)
    epoch = judged(network, data)
    metrics = epoch.metrics | measures(network)
    return TrainingResult(dataclasses.replace(state, network=network, metrics=metrics), (), epoch)


def judged(network: nn.Module, data: TaggingData, device: torch.device = ALONE.device) -> Epoch:
    """Validation loss and accuracy of a network as it is, on the CPU before and afterwards."""
    try:
        logits = torch.from_numpy(predict(network.to(device), data.validation.to(device)))
    finally:
        network.cpu()
    loss = float(functional.cross_entropy(logits, data.validation.labels))
    accuracy = float((logits.argmax(1) == data.validation.labels).double().mean())
    return Epoch(0, math.nan, loss, accuracy, 0.0)


def measures(network: FixedPointNetwork) -> dict[str, float]:
    """What a network in fixed point costs, for tables: EBOPs, mean bits of weights and of activations."""
    weights, activations = mean_bits(network)
    cost = float(ebops(network).detach())
    return {"ebops": cost, "mean_weight_bits": weights, "mean_activation_bits": activations}


def post_training(state: State, training: Dataset, widths: Widths) -> FixedPointNetwork:
    """The lowered network with formats calibrated on the first training jets, not trained."""
    network = lower(state.network)
    calibrate(network, training.head(CALIBRATION_JETS), widths)
    return network


def _choose_widths(
    network: FixedPointNetwork,
    data: TaggingData,
    budget: float,
    recipe: Recipe,
    loss: Loss,
    run: Run,
) -> tuple[Epoch, ...]:
    """Train the formats too; the last epoch counts, since those before had more EBOPs."""
    steps = math.ceil(len(data.train) / recipe.batch_size) * recipe.epochs
    network.budget = Budget(budget, steps)

    def priced(logits: Tensor, x: Tensor, where: object, labels: Tensor) -> Tensor:
        assert isinstance(network.budget, Budget)
        return loss(logits, x, where, labels) + network.budget(ebops(network))

    epochs, _ = fit(network, data.train, data.validation, recipe, run, loss=priced, keep_last=True)
    del network.budget
    return epochs


def _trained(
    state: State,
    network: FixedPointNetwork,
    data: TaggingData,
    recipe: Recipe,
    loss: Loss,
    run: Run,
) -> TrainingResult:
    history, best = fit(network, data.train, data.validation, recipe, run, loss=loss)
    metrics = best.metrics | measures(network)
    return TrainingResult(dataclasses.replace(state, network=network, metrics=metrics), history, best)


def _loss(teacher: State | None, state: State, run: Run) -> Loss:
    return cross_entropy if teacher is None else loss_with_teacher(teacher, state, run.process.device)
