"""What a trained network is judged by, found by name among the installed packages.

An objective is a callable that is given a `Trained` and returns a number, with an attribute `direction`, "maximize" or
"minimize". A package offers its own through the entry-point group `jetformer_hpo.objectives`, in its pyproject.toml:

    [project.entry-points."jetformer_hpo.objectives"]
    energy_nj = "my_package.energy:energy_nj"
"""

from __future__ import annotations

import functools
import math
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, EntryPoints, entry_points
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar, cast

import numpy as np
import torch

from jetformer_hpo.errors import SearchError
from jetformer_model.errors import ModelError
from jetformer_model.metrics import roc
from jetformer_model.scorers import open_scorer
from jetformer_model.scoring import Scoring
from jetformer_model.state import load
from jetformer_model.taggers import counting

GROUP = "jetformer_hpo.objectives"
Direction = Literal["maximize", "minimize"]
DIRECTIONS = ("maximize", "minimize")
# One jet at a time; the median forgets what the system does besides.
LATENCY_WARM_UP, LATENCY_JETS = 20, 200


@dataclass(frozen=True)
class Trained:
    """What an objective is given.

    state: the state file of the network, in fixed point where the trial asked for few bits
    data: the files of the jets that it was trained on; objectives look at their validation split
    facts: whatever else is known: "settings" of the point, "epochs", "seconds"
    """

    state: Path
    data: tuple[Path, ...]
    facts: Mapping[str, Any] = field(default_factory=dict)


class Objective(Protocol):
    """A number for a trained network, and which way it should go."""

    @property
    def direction(self) -> Direction: ...

    def __call__(self, trained: Trained, /) -> float: ...


def installed() -> tuple[str, ...]:
    """The names of all objectives that installed packages offer."""
    return tuple(sorted(_offered().names))


def objective(name: str) -> Objective:
    """The objective of this name. Raises SearchError if no package offers it, or if it is none."""
    entries = {entry.value: entry for entry in _offered() if entry.name == name}
    if not entries:
        raise SearchError(
            f"objective {name!r}: no installed package offers it; there are {', '.join(installed())}"
        )
    if len(entries) > 1:
        raise SearchError(
            f"objective {name!r}: offered twice, by {' and by '.join(sorted(entries))}; uninstall one"
        )
    (entry,) = entries.values()
    return _loaded(entry)


def _offered() -> EntryPoints:
    return _found_on(tuple(sys.path))


@functools.lru_cache(maxsize=1)
def _found_on(path: tuple[str, ...]) -> EntryPoints:
    """Reading what hundreds of packages say of themselves takes 15 ms, which a short trial would notice."""
    return entry_points(group=GROUP)


def _loaded(entry: EntryPoint) -> Objective:
    try:
        found = entry.load()
    except Exception as error:  # whatever happens while another package is imported
        raise SearchError(f"objective {entry.name!r}: {entry.value} cannot be imported ({error})") from error
    if not callable(found) or getattr(found, "direction", None) not in DIRECTIONS:
        raise SearchError(
            f"objective {entry.name!r}: expected {entry.value} to be a callable with an attribute `direction`, "
            "'maximize' or 'minimize'"
        )
    return cast(Objective, found)


def directions(names: Iterable[str]) -> tuple[Direction, ...]:
    """Which way each of these objectives should go."""
    return tuple(objective(name).direction for name in names)


def measure(names: Iterable[str], trained: Trained) -> dict[str, float]:
    """The value of each objective. Raises SearchError if one of them fails or is no number."""
    values = {}
    for name in names:
        judge = objective(name)
        try:
            value = float(judge(trained))
        except Exception as error:  # whatever another package's objective stumbles over
            raise SearchError(f"objective {name!r}: {str(error) or type(error).__name__}") from error
        if not math.isfinite(value):
            raise SearchError(f"objective {name!r}: expected a number, got {value}")
        values[name] = value
    return values


# Those of this package

Function = TypeVar("Function", bound=Callable[[Trained], float])


def _to(direction: Direction) -> Callable[[Function], Function]:
    def mark(function: Function) -> Function:
        function.direction = direction  # type: ignore[attr-defined]
        return function

    return mark


@_to("maximize")
def accuracy(trained: Trained) -> float:
    """Share of validation jets whose class is found, of the weights that were kept; in [0, 1]."""
    metrics = load(trained.state).metrics
    try:
        return float(metrics["validation_accuracy"])
    except KeyError:
        raise ModelError(f"{trained.state}: its metrics have no validation_accuracy") from None


@_to("maximize")
def auc(trained: Trained) -> float:
    """Area under the ROC curve of each class against the rest, validation jets, mean over classes."""
    scores = list(Scoring(trained.data, open_scorer(trained.state, "torch", "cpu"), "validation"))
    probabilities = np.concatenate([batch.probabilities for batch in scores]).astype(np.float64)
    labels = np.concatenate([batch.labels for batch in scores if batch.labels is not None])
    return float(np.mean([roc(column, labels == k).auc for k, column in enumerate(probabilities.T)]))


@_to("minimize")
def flops(trained: Trained) -> float:
    """FLOPs of one jet, 1 multiply-accumulate = 1; a network in fixed point counts as its float form."""
    return counting.flops(load(trained.state).float_form)


@_to("minimize")
def parameters(trained: Trained) -> float:
    """Parameters of the network; one in fixed point counts as its float form."""
    return counting.parameters(load(trained.state).float_form)


@_to("minimize")
def latency_us(trained: Trained) -> float:
    """Median time of one jet alone, µs: PyTorch on this machine's processor, one thread. Run nothing else beside it."""
    state = load(trained.state)
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(1, state.constituents, len(state.inputs.features), generator=generator)
    mask = torch.ones(1, state.constituents, dtype=torch.bool)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.inference_mode():
            times = [_seconds(lambda: state.network(x, mask)) for _ in range(LATENCY_WARM_UP + LATENCY_JETS)]
    finally:
        torch.set_num_threads(threads)
    return 1e6 * float(np.median(times[LATENCY_WARM_UP:]))


def _seconds(job: Callable[[], object]) -> float:
    started = time.perf_counter()
    job()
    return time.perf_counter() - started
