"""The search with work that costs nothing: what is stored, repeated, failed, retried and taken up again."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from jetformer_hpo import testing
from jetformer_hpo.errors import SearchError
from jetformer_hpo.samplers import make_sampler
from jetformer_hpo.search import Search
from jetformer_hpo.space import Space
from jetformer_hpo.study import agree_on, failures, make_study, open_storage, tried
from jetformer_hpo.workers import Work

SMALL = Space.of({"blocks": [1, 2, 3, 4, 5, 6], "embed_dim/heads": ["8/2", "16/2"], "dropout": [0.0]})
NAMES = ("accuracy", "flops")


def go(
    folder: Path, work: Work, trials: int, **more: Any
) -> tuple[dict[Any, Any], dict[int, str], list[Any]]:
    """Search, and return what was tried, what failed and why, and all trials."""
    with open_storage(folder / "study.sqlite3", create=True) as storage:
        study = make_study(storage, ("maximize", "minimize"), NAMES)
        sampler = make_sampler("nsga2", seed=1, space=SMALL, population=4)
        request = {"asked": str(folder / "asked.txt")}
        Search(storage, study, SMALL, NAMES, sampler, work, request, folder / "trials", trials, **more).run()
        found = study.get_trials()
        return tried(found, SMALL), failures(found, SMALL), found


def asked(folder: Path) -> Counter[str]:
    return Counter((folder / "asked.txt").read_text().splitlines())


@pytest.mark.parametrize("workers", (1, 3))
def test_every_point_is_trained_once(workers: int, tmp_path: Path) -> None:
    done, _, trials = go(tmp_path, testing.cheap, 1000, workers=workers)
    assert set(done) == set(SMALL)
    assert len(trials) == len(SMALL)
    assert asked(tmp_path) == Counter(json.dumps(SMALL.settings(point)) for point in SMALL)


def test_a_larger_budget_goes_on_with_new_points(tmp_path: Path) -> None:
    assert len(go(tmp_path, testing.cheap, 4)[0]) == 4
    assert len(go(tmp_path, testing.cheap, 7)[0]) == 7
    assert max(asked(tmp_path).values()) == 1


def test_failures_are_stored_with_their_reasons_and_are_no_results(tmp_path: Path) -> None:
    done, failed, _ = go(tmp_path, testing.fragile, 12)
    reasons = {point[0]: failed[trial.number] for point, trial in done.items() if trial.number in failed}
    assert reasons == {
        4: "the loss is no number",
        5: "it was killed (signal 9), by hand or for want of memory",
        6: "accuracy is no number (nan)",
    }


def test_a_trial_that_was_killed_once_is_tried_again(tmp_path: Path) -> None:
    done, failed, _ = go(tmp_path, testing.works_the_second_time, 2)
    assert (len(done), failed) == (2, {})


def test_a_trial_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    _, failed, _ = go(tmp_path, testing.endless, 1, time_limit=0.5)
    assert list(failed.values()) == ["it took longer than 0.5 s"]


def test_an_interrupted_trial_is_taken_up_by_the_next_start(tmp_path: Path) -> None:
    def interrupt(done: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        go(tmp_path, testing.cheap, 5, workers=2, progress=interrupt)
    assert len(go(tmp_path, testing.cheap, 5)[0]) == 5


def test_a_study_of_other_settings_is_refused(tmp_path: Path) -> None:
    with open_storage(tmp_path / "study.sqlite3", create=True) as storage:
        study = make_study(storage, ("maximize", "minimize"), NAMES)
        agree_on(study, {"space": {"blocks": [1]}})
        with pytest.raises(SearchError, match="was made with space"):
            agree_on(study, {"space": {"blocks": [2]}})


def test_a_storage_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(SearchError, match="no such study"), open_storage(tmp_path / "absent.sqlite3"):
        pass
