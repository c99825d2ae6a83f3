"""Whether searches that share a study lose or double a trial.

    python ci/bench.py hpo parallel

Four searches on one SQLite file, 400 trials that cost nothing; eight searches on PostgreSQL, 400 trials, while twenty times
one
of the searches or the trial that one of them is at is killed and begun again.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from jetformer_hpo.testing_searches import NoServer, Outcome, many, postgres

TRIALS, KILLS = 400, 20


def measure() -> dict[str, Any]:
    with TemporaryDirectory() as folder:
        found = many(f"{folder}/study.sqlite3", Path(folder), TRIALS, searches=4)
    figures = named("sqlite", found)
    try:
        with TemporaryDirectory() as folder, postgres() as url:
            found = many(url, Path(folder), TRIALS, searches=8, sleep=0.5, kills=KILLS)
    except NoServer as missing:
        return figures | {"postgres_skipped": str(missing)}
    return figures | named("postgres", found) | {"postgres_kills": KILLS}


def named(storage: str, found: Outcome) -> dict[str, Any]:
    return {f"{storage}_{name}": value for name, value in asdict(found).items()}
