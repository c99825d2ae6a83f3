"""What a search found: candidates, and those of them that nothing beats in both accuracy and FLOPs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from jetformer_hpo.errors import SearchError
from jetformer_hpo.space import Point


@dataclass(frozen=True)
class Candidate:
    """A trained point.

    trial: its number in the study
    accuracy: on the validation split, of the weights that were kept, in [0, 1]
    flops: for one jet, 1 multiply-accumulate = 1 FLOP
    """

    trial: int
    point: Point
    accuracy: float
    flops: int


def dominates(one: Candidate, other: Candidate) -> bool:
    """Whether `one` is no worse in both and better in at least one."""
    no_worse = one.accuracy >= other.accuracy and one.flops <= other.flops
    return no_worse and (one.accuracy, one.flops) != (other.accuracy, other.flops)


def pareto(candidates: Iterable[Candidate]) -> list[Candidate]:
    """The candidates that no other dominates, cheapest first.

    >>> small, wide = Point(1, 8, 2, 0.0), Point(1, 16, 2, 0.0)
    >>> [best.trial for best in pareto([Candidate(0, small, 0.6, 10), Candidate(1, wide, 0.5, 20)])]
    [0]
    """
    tried = list(candidates)
    best = [one for one in tried if not any(dominates(other, one) for other in tried)]
    return sorted(best, key=lambda candidate: (candidate.flops, candidate.trial))


def most_accurate(candidates: Sequence[Candidate], max_flops: int | None = None) -> Candidate:
    """The most accurate candidate of at most `max_flops`; of equals, the cheapest. Raises SearchError if there is none."""
    affordable = [candidate for candidate in candidates if max_flops is None or candidate.flops <= max_flops]
    if not affordable:
        cheapest = min((candidate.flops for candidate in candidates), default=None)
        found = "no trial has finished" if cheapest is None else f"the cheapest takes {cheapest:,}"
        raise SearchError(f"at most {max_flops or 0:,} FLOPs: no candidate is so small, {found}")
    return max(affordable, key=lambda candidate: (candidate.accuracy, -candidate.flops))
