"""Labels as sources write them, checked: one-hot columns and class numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jetformer_data.errors import SourceError

_MOST_CLASSES = 1_000


def one_hot(
    columns: Sequence[NDArray[Any]], names: Sequence[str], path: str, first_jet: int = 0
) -> NDArray[np.int64]:
    """Position of the 1 among `columns` (each `[jets]`); raises `SourceError` where a jet has none or several.

    >>> one_hot([np.array([1, 0]), np.array([0, 1])], ["j_g", "j_q"], "jets.h5")
    array([0, 1])
    """
    table = np.stack([np.asarray(column) for column in columns], axis=1)
    is_good = ((table == 0) | (table == 1)).all(axis=1) & ((table == 1).sum(axis=1) == 1)
    if not is_good.all():
        jet = int(np.argmin(is_good))
        shown = ", ".join(
            f"{name} {value:g}" for name, value in zip(names, table[jet].astype(float), strict=True)
        )
        raise SourceError(f"{path}: jet {first_jet + jet}: labels are not one-hot ({shown})")
    return np.argmax(table == 1, axis=1).astype(np.int64)


def class_numbers(values: NDArray[Any], name: str, path: str, first_jet: int = 0) -> NDArray[np.int64]:
    """Whole numbers from 0; raises `SourceError` where they are something else."""
    if values.ndim != 1 or values.dtype.kind not in "iufb":
        raise SourceError(
            f"{path}: column '{name}': holds {values.dtype} {list(values.shape)}, expected a number a jet"
        )
    with np.errstate(invalid="ignore"):
        whole = values.astype(np.int64)
        is_good = (whole == values) & (whole >= 0) & (whole < _MOST_CLASSES)
    if not is_good.all():
        jet = int(np.argmin(is_good))
        raise SourceError(
            f"{path}: jet {first_jet + jet}, column '{name}': label {values[jet]} is not a class number"
        )
    return np.asarray(whole)


def numbered_classes(classes: int) -> tuple[str, ...]:
    """Names for classes of which only the number is known."""
    return tuple(f"label_{number}" for number in range(classes))
