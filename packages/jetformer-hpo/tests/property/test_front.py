"""The Pareto front, for any candidates."""

from __future__ import annotations

import optuna
from hypothesis import given
from hypothesis import strategies as st

from jetformer_hpo.front import Candidate, dominates, most_accurate, pareto
from jetformer_hpo.space import points

scores = st.lists(st.tuples(st.integers(0, 6), st.integers(1, 6)), max_size=25)


def tried(scores: list[tuple[int, int]]) -> list[Candidate]:
    return [Candidate(i, points()[i % 96], accuracy / 7, flops) for i, (accuracy, flops) in enumerate(scores)]


@given(scores)
def test_front_dominates_the_rest_and_not_itself(scores: list[tuple[int, int]]) -> None:
    found = tried(scores)
    front = pareto(found)
    assert not any(dominates(one, other) for one in front for other in front)
    for candidate in found:
        assert candidate in front or any(dominates(best, candidate) for best in front)


@given(scores)
def test_front_is_the_one_that_optuna_finds(scores: list[tuple[int, int]]) -> None:
    study = optuna.create_study(directions=["maximize", "minimize"])
    for accuracy, flops in scores:
        study.add_trial(optuna.trial.create_trial(values=[accuracy / 7, flops]))
    assert sorted(candidate.trial for candidate in pareto(tried(scores))) == sorted(
        trial.number for trial in study.best_trials
    )


@given(scores.filter(bool), st.integers(1, 6))
def test_the_most_accurate_affordable_candidate_is_on_the_front_of_the_affordable(
    scores: list[tuple[int, int]], budget: int
) -> None:
    affordable = [candidate for candidate in tried(scores) if candidate.flops <= budget]
    if affordable:
        assert most_accurate(tried(scores), budget) in pareto(affordable)
