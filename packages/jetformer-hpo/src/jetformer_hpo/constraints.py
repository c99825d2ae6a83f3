"""What a candidate must fulfil, such as "accuracy>=0.65" or "flops<100000"."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from jetformer_hpo.errors import SearchError

_FORM = re.compile(r"\s*(\w+)\s*(>=|<=|>|<)\s*(\S+)\s*")


@dataclass(frozen=True)
class Constraint:
    """`quantity` is at least (or at most) `bound`.

    >>> parse("accuracy>=0.65").violation({"accuracy": 0.6}) > 0
    True
    """

    quantity: str
    at_least: bool
    bound: float

    def violation(self, measured: Mapping[str, float]) -> float:
        """By how much it is missed; 0 or less where it is fulfilled."""
        value = measured[self.quantity]
        return self.bound - value if self.at_least else value - self.bound

    def __str__(self) -> str:
        return f"{self.quantity}{'>=' if self.at_least else '<='}{self.bound:g}"


def parse(text: str) -> Constraint:
    """From `quantity>=number` or `quantity<=number`. Raises SearchError for anything else."""
    found = _FORM.fullmatch(text)
    try:
        if not found:
            raise ValueError
        return Constraint(found[1], found[2].startswith(">"), float(found[3]))
    except ValueError:
        raise SearchError(f"constraint {text!r}: expected such as accuracy>=0.65 or flops<=100000") from None


def feasible(constraints: Sequence[Constraint], measured: Mapping[str, float]) -> bool:
    """Whether all are fulfilled."""
    return all(constraint.violation(measured) <= 0 for constraint in constraints)


def violations(constraints: Sequence[Constraint], measured: Mapping[str, float]) -> dict[str, float]:
    """By how much each is missed, as Optuna stores it: 0 or less where it is fulfilled."""
    return {str(constraint): constraint.violation(measured) for constraint in constraints}
