"""What proposes the next point: Optuna's samplers by name, set up alike so that they can be compared.

"nsga2", "nsga3": genetic, a population that is selected and crossed; "tpe": densities of good and of bad points;
"botorch": a Gaussian process and its expected gain in hypervolume (extra `botorch`); "random"; "grid": every point once, in
random order.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, GridSampler, NSGAIIISampler, NSGAIISampler, RandomSampler, TPESampler

from jetformer_hpo.errors import SearchError
from jetformer_hpo.extras import require
from jetformer_hpo.space import Space

NAMES = ("nsga2", "nsga3", "tpe", "botorch", "random", "grid")
START_UP = 20  # random trials before a model is made of them, as published
# Small against 96 points, so that selection begins early; Optuna's 50 would draw half of the space at random.
POPULATION = 16


def make_sampler(
    name: str,
    *,
    seed: int,
    space: Space,
    start_up: int = START_UP,
    population: int = POPULATION,
) -> BaseSampler:
    """A sampler for one study.

    start_up: random trials before "tpe" and "botorch" model anything
    population: of "nsga2" and "nsga3", whose first generation is random
    Raises SearchError for an unknown name, and for "botorch" where its extra is missing.
    """
    if name not in NAMES:
        raise SearchError(f"sampler {name!r}: expected one of {', '.join(NAMES)}")
    if name == "random":
        return RandomSampler(seed=seed)
    if name == "grid":
        return _Grid(space.as_dict(), seed=seed)
    if name == "tpe":
        # All axes at once: as good as one by one on the table that ships (20 seeds), and 5 times faster.
        return TPESampler(seed=seed, n_startup_trials=start_up, multivariate=True)
    if name == "botorch":
        return _botorch()(seed=seed, n_startup_trials=start_up)
    if name == "nsga2":
        return NSGAIISampler(seed=seed, population_size=population)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return NSGAIIISampler(seed=seed, population_size=population)


def _botorch() -> Callable[..., BaseSampler]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of PyTorch, while BoTorch is imported
        require("botorch", "botorch")
        sampler: Callable[..., BaseSampler] = require("optuna_integration", "botorch").BoTorchSampler
    # it calls itself experimental with every proposal
    warnings.filterwarnings("ignore", "optuna_integration.botorch", ExperimentalWarning)
    return sampler


class _Grid(GridSampler):
    """Optuna's would stop the study after the last point, which it may do inside of `optimize` alone."""

    def after_trial(self, *args: Any) -> None:
        """Whoever asks knows when all points are tried."""
