"""The search itself: NSGA-II proposes points, `evaluate` trains them, no point is trained twice."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from jetformer_hpo.space import Point, points, suggest
from jetformer_hpo.study import REPEAT_OF, tried
from jetformer_model.config import Activation, Architecture, Norm
from jetformer_model.dataset import MIN_PT_GEV, TaggingData, tagging_data
from jetformer_model.flops import flops
from jetformer_model.training import Recipe, train

# After so many proposals in a row of points already trained, an untried one is drawn at random: the space is small.
PATIENCE = 10

Score = tuple[float, int]  # validation accuracy in [0, 1], FLOPs
Evaluate = Callable[[Point], Score]


class Objective:
    """Trains a point on one set of jets and counts its FLOPs."""

    def __init__(
        self, data: TaggingData, recipe: Recipe, *, norm: Norm = "batch", activation: Activation = "relu"
    ):
        self.data, self.recipe, self.norm, self.activation = data, recipe, norm, activation

    def architecture(self, point: Point) -> Architecture:
        """The point's network for these jets."""
        return point.architecture(
            constituents=self.data.train.x.shape[1],
            features=self.data.train.x.shape[2],
            classes=len(self.data.class_names),
            norm=self.norm,
            activation=self.activation,
        )

    def __call__(self, point: Point) -> Score:
        architecture = self.architecture(point)
        trained = train(self.data, architecture, recipe=self.recipe)
        return trained.validation_accuracy, flops(architecture)


def search(
    study: Study,
    evaluate: Evaluate,
    trials: int,
    *,
    seed: int = 0,
    progress: Callable[[int], None] = lambda done: None,
) -> None:
    """Go on until the study has tried `trials` different points, or all of them.

    A repeated proposal is answered with the stored result, so that the sampler learns from it, and costs nothing. A point
    whose training raises is stored as failed, with the reason, and is not tried again.
    """
    spent, repeats = tried(study), 0
    while len(spent) < min(trials, len(points())):
        progress(len(spent))
        if repeats == PATIENCE:
            study.enqueue_trial(_untried(spent, seed).parameters())
        study.optimize(partial(_answer, evaluate, spent), n_trials=1, catch=(Exception,))
        before, spent = len(spent), tried(study)
        repeats = repeats + 1 if len(spent) == before else 0
    progress(len(spent))


def _answer(evaluate: Evaluate, spent: Mapping[Point, FrozenTrial], trial: Trial) -> Sequence[float]:
    point = suggest(trial)
    if (earlier := spent.get(point)) is not None:
        trial.set_user_attr(REPEAT_OF, earlier.number)
        if earlier.state is TrialState.FAIL:
            raise RuntimeError(f"the same as trial {earlier.number}, which failed")
        return earlier.values
    try:
        return evaluate(point)
    except Exception as error:
        trial.set_user_attr("failure", f"{type(error).__name__}: {error}")
        raise


def _untried(spent: Mapping[Point, FrozenTrial], seed: int) -> Point:
    left = [point for point in points() if point not in spent]
    return left[int(np.random.default_rng([seed, len(spent)]).integers(len(left)))]


def objective(
    path: Path,
    recipe: Recipe,
    *,
    constituents: int,
    features: Sequence[str],
    norm: Norm,
    activation: Activation,
) -> Objective:
    """The objective over the training and validation splits of an array-schema file."""
    data = tagging_data(path, constituents=constituents, features=features, min_pt_gev=MIN_PT_GEV)
    return Objective(data, recipe, norm=norm, activation=activation)
