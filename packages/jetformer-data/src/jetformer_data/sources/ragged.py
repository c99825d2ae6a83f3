"""Lists of constituents of any library as flat columns with one set of offsets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jetformer_data.errors import SourceError
from jetformer_data.jets import offsets_of

# Offsets from 0, and the values that they divide.
Lists = tuple[NDArray[np.int64], NDArray[Any]]


def same_offsets(
    columns: Mapping[str, Lists], path: str, first_jet: int, names: Mapping[str, str]
) -> NDArray[np.int64]:
    """The offsets that all columns share; raises `SourceError` naming the first jet whose lists differ in length."""
    (first, (offsets, _)), *others = columns.items()
    for name, (theirs, _) in others:
        if np.array_equal(offsets, theirs):
            continue
        if len(offsets) != len(theirs):
            jet, lengths = 0, (len(offsets) - 1, len(theirs) - 1)
        else:
            jet = int(np.argmax(np.diff(offsets) != np.diff(theirs)))
            lengths = (int(np.diff(offsets)[jet]), int(np.diff(theirs)[jet]))
        raise SourceError(
            f"{path}: jet {first_jet + jet}: column '{names.get(first, first)}' has {lengths[0]} entries, "
            f"but '{names.get(name, name)}' has {lengths[1]}"
        )
    return offsets


def without_padding(is_real: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Offsets `[jets + 1]` and flat positions of the real constituents of padded arrays, from a mask `[jets, P]`."""
    return offsets_of(is_real.sum(axis=1)), np.flatnonzero(is_real)
