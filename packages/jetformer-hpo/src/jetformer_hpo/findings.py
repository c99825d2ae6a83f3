"""What a study holds, read for people: candidates, feasible or not, the Pareto front, and picks from it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from jetformer_hpo import constraints
from jetformer_hpo.constraints import Constraint
from jetformer_hpo.errors import SearchError
from jetformer_hpo.front import Candidate, Goal, Repeated, knee, pareto, smallest
from jetformer_hpo.space import Space
from jetformer_hpo.study import MEASURED, load_study, open_storage, space_of

PICKS = ("smallest-feasible", "knee")
_CONFIRMED = "confirmed:"


@dataclass(frozen=True)
class Findings:
    """All that a study has found. `request`: what all its trials have in common, see `trial`."""

    goals: tuple[Goal, ...]
    constraints: tuple[Constraint, ...]
    candidates: tuple[Candidate, ...]
    request: Mapping[str, Any]

    def is_feasible(self, candidate: Candidate) -> bool:
        """Whether it fulfils all constraints."""
        return constraints.feasible(self.constraints, candidate.measured)

    @property
    def feasible(self) -> list[Candidate]:
        """Those that fulfil all constraints. Raises SearchError if there are none."""
        found = [candidate for candidate in self.candidates if self.is_feasible(candidate)]
        if not self.candidates:
            raise SearchError("no trial of this study has finished, so there is no front")
        if not found:
            wanted = " and ".join(map(str, self.constraints))
            raise SearchError(
                f"none of the {len(self.candidates)} candidates fulfils {wanted}; {self._nearest()}"
            )
        return found

    @property
    def front(self) -> list[Candidate]:
        """The feasible ones that no other feasible one dominates, cheapest first."""
        return pareto(self.feasible, self.goals)

    def kind(self, candidate: Candidate, front: list[Candidate]) -> str:
        """ "pareto", "dominated" (though feasible) or "infeasible"."""
        if candidate in front:
            return "pareto"
        return "dominated" if self.is_feasible(candidate) else "infeasible"

    def pick(self, name: str) -> Candidate:
        """ "smallest-feasible", "knee", or the number of a trial."""
        if name == "smallest-feasible":
            return smallest(self.feasible, self.goals)
        if name == "knee":
            return knee(self.front, self.goals)
        if not name.isdecimal():
            raise SearchError(f"pick {name!r}: expected {', '.join(PICKS)} or the number of a trial")
        for candidate in self.candidates:
            if candidate.trial == int(name):
                return candidate
        raise SearchError(f"trial {name} trained no point; `jetformer-hpo front` lists those that did")

    @property
    def quality(self) -> Goal | None:
        """The first goal that is to be large: what training decides, and luck with it."""
        return next((goal for goal in self.goals if goal.maximise), None)

    def optimism(self) -> Repeated | None:
        """By how much the front's quality was above that of other seeds, for each member that has been confirmed.

        The best of many noisy trials are good by luck too; new seeds do not have it.
        """
        if self.quality is None:
            return None
        name = self.quality.name
        repeated = [(one.measured[name], one.again(name)) for one in self.front]
        excess = [value - again.mean for value, again in repeated if again is not None]
        return Repeated(tuple(excess)) if excess else None

    def _nearest(self) -> str:
        # how far in units of the bound, so that accuracies and FLOPs can be added
        def missed(candidate: Candidate) -> float:
            return sum(
                max(0.0, one.violation(candidate.measured)) / (abs(one.bound) or 1)
                for one in self.constraints
            )

        nearest = self.candidates[int(np.argmin([missed(candidate) for candidate in self.candidates]))]
        values = ", ".join(f"{one.quantity} {nearest.measured[one.quantity]:.6g}" for one in self.constraints)
        return f"the nearest is trial {nearest.trial} with {values}"


def read(study: Study) -> Findings:
    """Every trained point of a study, once."""
    settings, space = study.user_attrs["settings"], space_of(study)
    goals = tuple(
        Goal(name, direction is StudyDirection.MAXIMIZE)
        for name, direction in zip(settings["objectives"], study.directions, strict=True)
    )
    trials = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    return Findings(
        goals,
        tuple(constraints.parse(text) for text in settings["constraints"]),
        tuple(_candidate(study, space, trial) for trial in trials),
        settings["request"],
    )


@contextmanager
def opened(storage: str | Path) -> Iterator[Study]:
    """The study in a storage, for reading. Raises SearchError if there is none."""
    with open_storage(storage) as database:
        study = load_study(database, storage)
        if "settings" not in study.user_attrs:
            raise SearchError(
                f"{storage}: the study says nothing of its settings; was it made by jetformer-hpo?"
            )
        yield study


def confirm(study: Study, trial: int, seed: int, measured: Mapping[str, float]) -> None:
    """Store what a training of the trial's point with another seed gave. A finished trial itself cannot be changed."""
    key = f"{_CONFIRMED}{trial}"
    study.set_user_attr(key, study.user_attrs.get(key, {}) | {str(seed): dict(measured)})


def _candidate(study: Study, space: Space, trial: FrozenTrial) -> Candidate:
    confirmed = study.user_attrs.get(f"{_CONFIRMED}{trial.number}", {})
    return Candidate(
        trial.number,
        space.settings(space.point(trial.params)),
        trial.user_attrs[MEASURED],
        {int(seed): measured for seed, measured in confirmed.items()},
        trial.user_attrs.get("seed", study.user_attrs["settings"]["request"].get("seed", 0)),
    )
