"""Several searches on one study at once, and searches and trials that are killed."""

from pathlib import Path

import pytest

from jetformer_hpo.testing_searches import NoServer, many, postgres


def test_searches_share_an_sqlite_file(tmp_path: Path) -> None:
    found = many(str(tmp_path / "study.sqlite3"), tmp_path, trials=40, searches=4)
    assert (found.trials, found.lost, found.doubled, found.trainings, found.complaints) == (40, 0, 0, 40, ())
    assert found.races < 20  # though all four begin with the same seed


def test_searches_and_trials_may_be_killed(tmp_path: Path) -> None:
    found = many(str(tmp_path / "study.sqlite3"), tmp_path, trials=20, searches=2, sleep=0.4, kills=4)
    assert (found.trials, found.lost, found.doubled, found.complaints) == (20, 0, 0, ())
    assert found.trainings > 20  # the kills did hit


def test_searches_share_a_postgresql_and_may_be_killed(tmp_path: Path) -> None:
    pytest.importorskip("psycopg", reason="the extra postgres is not installed")
    try:
        with postgres() as url:
            found = many(url, tmp_path, trials=60, searches=8, sleep=0.4, kills=4)
    except NoServer as missing:
        pytest.skip(str(missing))
    assert (found.trials, found.lost, found.doubled, found.complaints) == (60, 0, 0, ())
