"""Where a loop finds an element: coordinates written as sums of loop variables, with // and % where axes were split."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..fixed_point import Codes


def coordinate(values: Codes, variables: Sequence[str]) -> str | None:
    """An expression that gives `values[i, j, ...]`, one variable an axis; None where it is no sum over the axes.

    >>> coordinate(np.arange(6).reshape(2, 3) * 2, ("i", "j"))
    '6 * i + 2 * j'
    >>> coordinate(np.array([0, 0, 0, 1, 1, 1]), ("j",))
    'j // 3'
    """
    origin = int(values.flat[0])
    rest = values - origin
    terms = [str(origin)] if origin else []
    for axis, variable in enumerate(variables):
        line = np.moveaxis(rest, axis, 0).reshape(values.shape[axis], -1)[:, 0]
        if line.any():
            term = _term(line, variable)
            if term is None:
                return None
            terms.append(term)
            rest = rest - line.reshape([-1 if n == axis else 1 for n in range(rest.ndim)])
    return " + ".join(terms[1:] + terms[:1] if origin else terms) or "0" if not rest.any() else None


def _term(line: Codes, variable: str) -> str | None:
    """`step * ((n // every) % period)` that gives this line, which begins with 0."""
    n = np.arange(len(line))
    every = int(np.flatnonzero(line)[0])
    step = int(line[every])
    for period in [len(line), *range(2, len(line))]:
        if np.array_equal(line, step * (n // every % period)):
            return _written(variable, step, every, period if period * every < len(line) else 0)
    return None


def _written(variable: str, step: int, every: int, period: int) -> str:
    text = variable if every == 1 else f"{variable} // {every}"
    if period:
        text = f"{variable} % {period}" if every == 1 else f"{variable} // {every} % {period}"
    return text if step == 1 else f"{step} * {variable}" if text == variable else f"{step} * ({text})"


def varying(values: Codes) -> tuple[int, ...]:
    """The axes along which something changes."""
    return tuple(axis for axis in range(values.ndim) if (values != np.take(values, [0], axis=axis)).any())
