"""A search on disk: one Optuna study in SQLite (or another database), with the settings that it was made with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.samplers import BaseSampler
from optuna.storages import RDBStorage
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import SQLAlchemyError

from jetformer_hpo.errors import SearchError
from jetformer_hpo.front import Candidate
from jetformer_hpo.space import Point

STUDY_NAME = "jetformer"
DIRECTIONS = (StudyDirection.MAXIMIZE, StudyDirection.MINIMIZE)  # accuracy, FLOPs
REPEAT_OF = "repeat_of"  # marks a trial that only quotes the result of an earlier one
# Small against 96 points, so that selection begins early; Optuna's 50 would draw half of the space at random.
POPULATION = 16

optuna.logging.set_verbosity(optuna.logging.ERROR)


def storage_url(storage: str | Path) -> str:
    """A path stands for an SQLite file; anything with :// is taken as it is.

    >>> storage_url("search/study.sqlite3")
    'sqlite:///search/study.sqlite3'
    """
    return str(storage) if "://" in str(storage) else f"sqlite:///{storage}"


@contextmanager
def opened(storage: str | Path, *, create: bool = False, seed: int = 0) -> Iterator[Study]:
    """The study in `storage`, closed at the end. Raises SearchError if it is not there (unless `create`) or unreadable."""
    url = storage_url(storage)
    path = Path(url.removeprefix("sqlite:///"))
    if url.startswith("sqlite:///"):
        if not create and not path.is_file():
            raise SearchError(f"{path}: no such study; make one with `jetformer-hpo search`")
        path.parent.mkdir(parents=True, exist_ok=True)
    try:
        database = RDBStorage(url)
    except (SQLAlchemyError, ImportError, ValueError, RuntimeError) as error:
        raise SearchError(f"{storage}: cannot be opened as a study ({_first_line(error)})") from error
    try:
        yield _study(database, storage, create, seed)
    finally:
        database.remove_session()
        database.engine.dispose()


def _study(database: RDBStorage, storage: str | Path, create: bool, seed: int) -> Study:
    if not create:
        try:
            return optuna.load_study(study_name=STUDY_NAME, storage=database)
        except KeyError:
            raise SearchError(f"{storage}: holds no study of jetformer-hpo") from None
    study = optuna.create_study(
        study_name=STUDY_NAME, storage=database, directions=DIRECTIONS, load_if_exists=True
    )
    study.sampler = sampler(seed, len(study.get_trials(deepcopy=False)))
    return study


def sampler(seed: int, trials: int = 0) -> BaseSampler:
    """NSGA-II for a study that holds so many trials: a resumed search goes on, and does not draw its beginning once more."""
    state = np.random.SeedSequence([seed, trials]).generate_state(1)
    return optuna.samplers.NSGAIISampler(population_size=POPULATION, seed=int(state[0]))


def agree_on(study: Study, settings: dict[str, Any]) -> None:
    """Stores the settings of a new study; raises SearchError if an existing one was made with others."""
    stored = study.user_attrs.get("settings")
    if stored is None:
        study.set_user_attr("settings", settings)
        return
    for name, value in settings.items():
        if stored.get(name) != value:
            raise SearchError(
                f"the study was made with {name} = {stored.get(name)!r}, not {value!r}: its results cannot be compared;"
                " give the same value or another --out"
            )


def tried(study: Study) -> dict[Point, FrozenTrial]:
    """The trial of each point that was trained, or that failed in training.

    A trial whose process was killed stays "running" for ever: it says nothing about its point, which may be proposed again.
    """
    trials = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.FAIL))
    # neither does an interrupted one, which Optuna marks as failed without a reason of ours
    spent = [t for t in trials if t.state is TrialState.COMPLETE or "failure" in t.user_attrs]
    return {
        Point.from_parameters(trial.params): trial for trial in spent if REPEAT_OF not in trial.user_attrs
    }


def candidates(study: Study) -> list[Candidate]:
    """Every trained point, once."""
    return [
        Candidate(trial.number, point, trial.values[0], round(trial.values[1]))
        for point, trial in tried(study).items()
        if trial.state is TrialState.COMPLETE
    ]


def failures(study: Study) -> dict[int, str]:
    """Number of each failed trial, and why."""
    spent = tried(study).values()
    return {trial.number: trial.user_attrs["failure"] for trial in spent if trial.state is TrialState.FAIL}


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
