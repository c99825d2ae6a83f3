"""The Pareto front and the picks, for any candidates and any number of objectives."""

from __future__ import annotations

import optuna
from hypothesis import given
from hypothesis import strategies as st

from jetformer_hpo.front import Candidate, Goal, knee, pareto, smallest

Found = tuple[tuple[Goal, ...], list[Candidate]]


@st.composite
def found(draw: st.DrawFn) -> Found:
    """Up to 4 objectives, few different values, so that ties are common."""
    goals = tuple(
        Goal(f"q{i}", maximise)
        for i, maximise in enumerate(draw(st.lists(st.booleans(), min_size=1, max_size=4)))
    )
    rows = draw(st.lists(st.tuples(*[st.integers(1, 5)] * len(goals)), min_size=1, max_size=20))
    return goals, [
        Candidate(i, {}, {g.name: v for g, v in zip(goals, row, strict=True)}) for i, row in enumerate(rows)
    ]


def better(one: Candidate, other: Candidate, goals: tuple[Goal, ...]) -> bool:
    """Whether `one` dominates, goal by goal."""
    pairs = [(one.measured[goal.name], other.measured[goal.name], goal.maximise) for goal in goals]
    no_worse = all(a >= b if up else a <= b for a, b, up in pairs)
    return no_worse and any(a != b for a, b, _ in pairs)


@given(found())
def test_the_front_is_what_nothing_dominates(found: Found) -> None:
    goals, candidates = found
    expected = {one.trial for one in candidates if not any(better(other, one, goals) for other in candidates)}
    assert {one.trial for one in pareto(candidates, goals)} == expected


@given(found())
def test_the_front_is_the_one_that_optuna_finds(found: Found) -> None:
    goals, candidates = found
    study = optuna.create_study(directions=["maximize" if goal.maximise else "minimize" for goal in goals])
    for one in candidates:
        study.add_trial(optuna.trial.create_trial(values=[one.measured[goal.name] for goal in goals]))
    values = {tuple(trial.values) for trial in study.best_trials}
    assert {tuple(one.measured[goal.name] for goal in goals) for one in pareto(candidates, goals)} == values


@given(found())
def test_picks_are_on_the_front(found: Found) -> None:
    goals, candidates = found
    front = pareto(candidates, goals)
    assert knee(front, goals) in front
    if not all(goal.maximise for goal in goals):
        pick = smallest(candidates, goals)
        assert not any(better(other, pick, goals) for other in candidates)


@given(found())
def test_the_knee_does_not_depend_on_the_scale_of_costs(found: Found) -> None:
    goals, candidates = found
    front = pareto(candidates, goals)
    scaled = [
        Candidate(
            one.trial,
            {},
            {goal.name: one.measured[goal.name] * (4 if not goal.maximise else 1) for goal in goals},
        )
        for one in front
    ]
    assert knee(scaled, goals).trial == knee(front, goals).trial
