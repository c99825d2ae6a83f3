"""The search with an objective that costs nothing: what is stored, repeated, failed and resumed."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import optuna
import pytest
from optuna.study import Study
from optuna.trial import TrialState

from jetformer_hpo.errors import SearchError
from jetformer_hpo.front import pareto
from jetformer_hpo.search import Score, search
from jetformer_hpo.space import Point, points
from jetformer_hpo.study import DIRECTIONS, REPEAT_OF, agree_on, candidates, failures, opened, sampler, tried


def in_memory(seed: int) -> Study:
    """A study that costs no disk, for tests of many trials."""
    return optuna.create_study(directions=DIRECTIONS, sampler=sampler(seed))


class Cheap:
    """Accuracy rises with the blocks, FLOPs with the width; remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: Counter[Point] = Counter()

    def __call__(self, point: Point) -> Score:
        self.asked[point] += 1
        return point.blocks / 7 - point.dropout, 1000 * point.embed_dim + point.heads


class Fragile(Cheap):
    """Fails for deep networks."""

    def __call__(self, point: Point) -> Score:
        score = super().__call__(point)
        if point.blocks > 3:
            raise RuntimeError("out of memory")
        return score


def test_results_are_stored_in_the_right_order(tmp_path: Path) -> None:
    with opened(tmp_path / "s.sqlite3", create=True) as study:
        search(study, Cheap(), 5)
        for candidate in candidates(study):
            assert (candidate.accuracy, candidate.flops) == Cheap()(candidate.point)
        optuna_best = {trial.number for trial in study.best_trials} - {
            trial.number for trial in study.trials if REPEAT_OF in trial.user_attrs
        }
        assert optuna_best == {candidate.trial for candidate in pareto(candidates(study))}


def test_no_point_is_trained_twice_even_when_all_are() -> None:
    cheap, study = Cheap(), in_memory(seed=3)
    search(study, cheap, 1000)
    trials = study.trials
    repeats = [trial for trial in trials if REPEAT_OF in trial.user_attrs]
    for trial in repeats:
        first = trials[trial.user_attrs[REPEAT_OF]]
        assert (trial.params, trial.values) == (first.params, first.values)
    assert cheap.asked == Counter(points())
    assert repeats


def test_search_goes_on_where_it_stopped(tmp_path: Path) -> None:
    class Killed(Cheap):
        def __call__(self, point: Point) -> Score:
            if len(self.asked) == 7:
                raise KeyboardInterrupt
            return super().__call__(point)

    first, second = Killed(), Cheap()
    with opened(tmp_path / "s.sqlite3", create=True) as study, pytest.raises(KeyboardInterrupt):
        search(study, first, 12)
    with opened(tmp_path / "s.sqlite3", create=True) as study:
        assert len(candidates(study)) == 7
        search(study, second, 12)
        assert len(candidates(study)) == 12
    assert len(second.asked) == 5
    assert not first.asked.keys() & second.asked.keys()


def test_a_finished_search_trains_nothing_more(tmp_path: Path) -> None:
    again = Cheap()
    for objective in (Cheap(), again):
        with opened(tmp_path / "s.sqlite3", create=True) as study:
            search(study, objective, 6)
    assert not again.asked


def test_failed_trials_are_failed_and_say_why() -> None:
    fragile, study = Fragile(), in_memory(seed=2)
    search(study, fragile, 1000)
    assert len(candidates(study)) == 48
    assert len(failures(study)) == 48
    assert set(failures(study).values()) == {"RuntimeError: out of memory"}
    assert all(candidate.accuracy > 0 for candidate in candidates(study))
    states = {trial.state for trial in study.trials if trial.params["blocks"] > 3}
    assert states == {TrialState.FAIL}
    assert set(fragile.asked.values()) == {1}


def test_same_seed_same_points_other_seed_others() -> None:
    def asked(seed: int) -> list[Point]:
        study = in_memory(seed)
        search(study, Cheap(), 40, seed=seed)
        return list(tried(study))

    assert asked(seed=1) == asked(seed=1)
    assert asked(seed=1) != asked(seed=2)


def test_selection_beats_chance() -> None:
    # the best point: six blocks of 8 with two heads, no dropout; 48 of 96 drawn at random hold it half of the time
    found = 0
    for seed in range(10):
        study = in_memory(seed)
        search(study, Cheap(), 48, seed=seed)
        found += pareto(candidates(study))[0].point == Point(6, 8, 2, 0.0)
    assert found >= 9


def test_progress_counts_up_to_the_target(tmp_path: Path) -> None:
    seen: list[int] = []
    with opened(tmp_path / "s.sqlite3", create=True) as study:
        search(study, Cheap(), 4, progress=seen.append)
    assert seen[0] == 0
    assert seen[-1] == 4
    assert seen == sorted(seen)


def test_other_settings_are_refused(tmp_path: Path) -> None:
    with opened(tmp_path / "s.sqlite3", create=True) as study:
        agree_on(study, {"epochs": 3, "features": ["pt"]})
    with opened(tmp_path / "s.sqlite3", create=True) as study:
        agree_on(study, {"epochs": 3, "features": ["pt"]})
        with pytest.raises(SearchError, match="made with epochs = 3, not 5"):
            agree_on(study, {"epochs": 5, "features": ["pt"]})
