"""A search on disk: one Optuna study in SQLite or PostgreSQL, with the settings that it was made with."""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import optuna
from optuna.exceptions import ExperimentalWarning, StorageInternalError
from optuna.storages import RDBStorage
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import Connection, event, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from jetformer_hpo.claims import make_table
from jetformer_hpo.errors import SearchError
from jetformer_hpo.space import Point, Space

STUDY_NAME = "jetformer"
MEASURED, FAILURE = "measured", "failure"  # user attributes of trials
HEARTBEAT, GRACE = 5, 20  # seconds
_WAIT = 120  # seconds for a lock of SQLite
_TRIES = 10
_SOMEBODY_ELSE_MADE_IT = ("already exists", "duplicate key", "UNIQUE constraint")

# What the loss of a database raises
LOST = (StorageInternalError, SQLAlchemyError)

Direction = Literal["maximize", "minimize"]

optuna.logging.set_verbosity(optuna.logging.ERROR)


def storage_url(storage: str | Path) -> str:
    """A path stands for an SQLite file; PostgreSQL is reached by psycopg, which the extra `postgres` installs.

    >>> storage_url("search/study.sqlite3"), storage_url("postgresql://user@host/name")
    ('sqlite:///search/study.sqlite3', 'postgresql+psycopg://user@host/name')
    """
    text = str(storage)
    if "://" not in text:
        return f"sqlite:///{text}"
    return text.replace("postgresql://", "postgresql+psycopg://", 1)


@contextmanager
def open_storage(
    storage: str | Path, *, create: bool = False, heartbeat: int = HEARTBEAT, grace: int = GRACE
) -> Iterator[RDBStorage]:
    """The database, closed at the end.

    heartbeat: seconds between signs of life of a trial
    grace: a trial whose worker has not been heard of for so many seconds is dead
    Raises SearchError if it is not there (unless `create`) or cannot be reached.
    """
    url = storage_url(storage)
    path = Path(url.removeprefix("sqlite:///"))
    options: dict[str, Any] = {"pool_pre_ping": True}
    if url.startswith("sqlite:///"):
        if not create and not path.is_file():
            raise SearchError(f"{path}: no such study; make one with `jetformer-hpo search`")
        path.parent.mkdir(parents=True, exist_ok=True)
        # None: Python's sqlite3 begins no transactions of its own
        options = {"connect_args": {"timeout": _WAIT, "isolation_level": None}}
    try:
        database = _connected(url, options, heartbeat, grace)
    except (SQLAlchemyError, ImportError, ValueError, RuntimeError) as error:
        raise SearchError(
            f"{_without_password(url)}: cannot be opened as a study ({_first_line(error)})"
        ) from error
    try:
        yield database
    finally:
        database.remove_session()
        database.engine.dispose()


def _connected(url: str, options: dict[str, Any], heartbeat: int, grace: int) -> RDBStorage:
    for _ in range(_TRIES):
        try:
            return _connect(url, options, heartbeat, grace)
        except SQLAlchemyError as error:
            if not any(sign in str(error) for sign in _SOMEBODY_ELSE_MADE_IT):
                raise
            time.sleep(0.2)  # searches that begin together make the same tables
    return _connect(url, options, heartbeat, grace)


def _connect(url: str, options: dict[str, Any], heartbeat: int, grace: int) -> RDBStorage:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)  # heartbeats
        database = RDBStorage(
            url,
            engine_kwargs=options,
            heartbeat_interval=heartbeat,
            grace_period=grace,
        )
    make_table(database.engine)
    if url.startswith("sqlite:///"):
        event.listen(database.engine, "connect", _write_ahead)
        event.listen(database.engine, "begin", _begin_with_the_lock)
        database.engine.dispose()  # so that the first connection is made anew too
    return database


def _write_ahead(connection: Any, record: Any) -> None:
    """A log that is written ahead needs one wait for the disk instead of several; a power cut may cost the last trial."""
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")


def _begin_with_the_lock(connection: Connection) -> None:
    """Where another has written, SQLite refuses at once to write after reading; so all wait before they read."""
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def make_study(storage: RDBStorage, directions: Sequence[Direction], names: Sequence[str]) -> Study:
    """The study in a database, a new one if there is none."""
    study = optuna.create_study(
        study_name=STUDY_NAME, storage=storage, directions=directions, load_if_exists=True
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        study.set_metric_names(list(names))
    return study


def load_study(storage: RDBStorage, where: str | Path) -> Study:
    """The study in a database. Raises SearchError if there is none."""
    try:
        return optuna.load_study(study_name=STUDY_NAME, storage=storage)
    except KeyError:
        raise SearchError(f"{where}: holds no study of jetformer-hpo") from None


def agree_on(study: Study, settings: dict[str, Any]) -> None:
    """Stores the settings of a new study; raises SearchError if an existing one was made with others."""
    settings = json.loads(json.dumps(settings))  # as they are stored: tuples are lists
    stored = study.user_attrs.get("settings")
    if stored is None:
        study.set_user_attr("settings", settings)
        return
    for name, before, now in _differences(stored, settings):
        raise SearchError(
            f"the study was made with {name} = {before!r}, not {now!r}: its results cannot be compared;"
            " give the same value or another --out"
        )


def _differences(
    before: dict[str, Any], now: dict[str, Any], prefix: str = ""
) -> Iterator[tuple[str, Any, Any]]:
    """Entries of `now` that were others before, with their names, those of parts such as request.recipe.epochs."""
    for name, value in now.items():
        earlier = before.get(name)
        if isinstance(value, dict) and isinstance(earlier, dict) and earlier.keys() == value.keys():
            yield from _differences(earlier, value, f"{prefix}{name}.")
        elif earlier != value:
            yield f"{prefix}{name}", earlier, value


def space_of(study: Study) -> Space:
    """The space that was searched."""
    return Space.of(study.user_attrs["settings"]["space"])


def fail_dead_trials(study: Study) -> None:
    """Trials whose workers have not been heard of fail without a reason; whoever looks next takes up their points."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        optuna.storages.fail_stale_trials(study)


def is_spent(trial: FrozenTrial) -> bool:
    """Whether it has a result, or failed for a reason; one that was stopped says nothing."""
    return trial.state is TrialState.COMPLETE or FAILURE in trial.user_attrs


def tried(trials: Sequence[FrozenTrial], space: Space) -> dict[Point, FrozenTrial]:
    """The trial of each point that was trained, or that failed for a reason."""
    return {space.point(trial.params): trial for trial in trials if is_spent(trial)}


def failures(trials: Sequence[FrozenTrial], space: Space) -> dict[int, str]:
    """Number of each failed trial, and why."""
    spent = tried(trials, space).values()
    return {trial.number: trial.user_attrs[FAILURE] for trial in spent if FAILURE in trial.user_attrs}


def _without_password(url: str) -> str:
    try:
        return make_url(url).render_as_string(hide_password=True)
    except ArgumentError:
        return "the storage"


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
