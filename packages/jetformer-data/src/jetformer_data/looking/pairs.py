"""Which classes are shown, and which classes of two files belong together."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from jetformer_data.distributions import Distributions
from jetformer_data.errors import DataError

MOST_CLASSES = 10  # more cannot be told apart by colour


@dataclass(frozen=True)
class Pair:
    """Two files over the same edges, their labels, and the classes (name, number in each) that are compared."""

    first: Distributions
    second: Distributions
    labels: tuple[str, str]
    classes: tuple[tuple[str, int, int], ...]


def _largest(jets: NDArray[np.int64]) -> list[int]:
    """The classes with jets, in their order; of more than can be told apart, those with the most."""
    order = np.argsort(-jets, kind="stable")[:MOST_CLASSES]
    return sorted(int(k) for k in order if jets[k])


def choose_classes(seen: Distributions, classes: Sequence[str] = ()) -> list[int]:
    """Numbers of these classes, or of those with jets; raises `DataError` where one is not there."""
    if not classes:
        return _largest(seen.jets)
    names = [name.partition("=")[0] for name in classes]
    missing = [name for name in names if name not in seen.class_names]
    if missing:
        raise DataError(
            f"class '{missing[0]}': not among the classes of the file ({', '.join(seen.class_names)})"
        )
    return [seen.class_names.index(name) for name in names]


def pair_up(
    seen: Sequence[Distributions],
    paths: Sequence[str | os.PathLike[str]],
    labels: tuple[str, str],
    classes: Sequence[str] = (),
) -> Pair:
    """Two files by the names of their classes, or by `classes`, where `A=B` pairs class A with B of the second file.

    Raises `DataError` where a class is not there, or none has jets in both.
    """
    first, second = seen
    if not classes:
        there = dict(zip(second.class_names, second.jets, strict=True))
        in_both = [min(n, there.get(name, 0)) for name, n in zip(first.class_names, first.jets, strict=True)]
        classes = [first.class_names[k] for k in _largest(np.array(in_both))]
    if not classes:
        held = [", ".join(n for n, j in zip(s.class_names, s.jets, strict=True) if j) for s in seen]
        raise DataError(
            f"{paths[0]} holds {held[0]}, {paths[1]} holds {held[1]}: no class has jets in both; "
            "say which belong together with --classes A=B"
        )
    pairs = [(name.partition("=")[0], name.partition("=")[2] or name) for name in classes]
    choose_classes(first, [a for a, _ in pairs])
    choose_classes(second, [b for _, b in pairs])
    numbered = tuple(
        (a if a == b else f"{a} / {b}", first.class_names.index(a), second.class_names.index(b))
        for a, b in pairs
    )
    return Pair(first, second, labels, numbered)
