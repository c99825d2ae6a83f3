"""What is searched: a finite space, spanned by axes with a list of values each.

A space is a TOML file whose table [axes] names the axes and lists their values, a function `module:function` that returns
such a table, or one of those that ship with the package (folder `spaces`): "paper", "trigger".

An axis "a/b" with values "1/2" sets `a` and `b` together, where not all pairs make sense.
"""

from __future__ import annotations

import functools
import importlib
import itertools
import math
import tomllib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution

from jetformer_hpo.errors import SearchError

Value = bool | int | float | str
Point = tuple[Value, ...]
SHIPPED = Path(__file__).parent / "spaces"


@dataclass(frozen=True)
class Space:
    """Points are tuples with a value for each axis, in the order of the axes.

    >>> space = Space.of({"blocks": [1, 2], "embed_dim/heads": ["8/2", "16/2"]})
    >>> len(space), space.settings((2, "16/2"))
    (4, {'blocks': 2, 'embed_dim': 16, 'heads': 2})
    """

    axes: tuple[tuple[str, tuple[Value, ...]], ...]

    @classmethod
    def of(cls, axes: Mapping[str, Any]) -> Space:
        """From a table of lists. Raises SearchError for an axis that is no list of different plain values."""
        for name, values in axes.items():
            if not isinstance(values, list | tuple) or not values:
                raise SearchError(f"axis {name!r}: expected a list of values, got {values!r}")
            if not all(isinstance(value, bool | int | float | str) for value in values):
                raise SearchError(f"axis {name!r}: expected numbers, words, true or false, got {values!r}")
            if len(set(values)) < len(values):
                raise SearchError(f"axis {name!r}: a value is listed twice in {values!r}")
        if not axes:
            raise SearchError("the space has no axes, so there is nothing to search")
        return cls(tuple((name, tuple(values)) for name, values in axes.items()))

    def __len__(self) -> int:
        return math.prod(len(values) for _, values in self.axes)

    def __iter__(self) -> Iterator[Point]:
        return itertools.product(*(values for _, values in self.axes))

    def untried(self, tried: Collection[Point], seed: int) -> Point | None:
        """A point that is not among `tried`, drawn at random; None if there is none."""
        left = [point for point in self if point not in tried]
        if not left:
            return None
        return left[int(np.random.default_rng([seed, len(tried)]).integers(len(left)))]

    @functools.cached_property
    def distributions(self) -> dict[str, BaseDistribution]:
        """The axes as Optuna's samplers see them."""
        return {name: _distribution(values) for name, values in self.axes}

    def parameters(self, point: Point) -> dict[str, Value]:
        """As Optuna stores them: by the names of the axes."""
        return {name: value for (name, _), value in zip(self.axes, point, strict=True)}

    def point(self, parameters: Mapping[str, Any]) -> Point:
        """Inverse of `parameters`."""
        return tuple(parameters[name] for name, _ in self.axes)

    def settings(self, point: Point) -> dict[str, Value]:
        """What the point sets, by single names."""
        found: dict[str, Value] = {}
        for name, value in self.parameters(point).items():
            names = name.split("/")
            parts = [value] if len(names) == 1 else [_number(part) for part in str(value).split("/")]
            if len(parts) != len(names):
                raise SearchError(f"axis {name!r}: expected {len(names)} parts with / between, got {value!r}")
            found |= dict(zip(names, parts, strict=True))
        return found

    def as_dict(self) -> dict[str, list[Value]]:
        """The table that it is made from."""
        return {name: list(values) for name, values in self.axes}


def load_space(name: str) -> Space:
    """A shipped space by its name, a TOML file, or `module:function`. Raises SearchError if there is no such thing."""
    shipped = SHIPPED / f"{name}.toml"
    if shipped.is_file() or name.endswith(".toml"):
        return Space.of(_table(shipped if shipped.is_file() else Path(name)))
    module, colon, function = name.partition(":")
    if not colon:
        known = ", ".join(sorted(path.stem for path in SHIPPED.glob("*.toml")))
        raise SearchError(f"space {name!r}: expected {known}, a .toml file or module:function")
    try:
        axes = getattr(importlib.import_module(module), function)()
    except (ImportError, AttributeError, TypeError) as error:
        raise SearchError(f"space {name!r}: cannot be made ({error})") from error
    return Space.of(axes)


def _table(path: Path) -> dict[str, Any]:
    try:
        axes = tomllib.loads(path.read_text()).get("axes")
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SearchError(f"{path}: not a readable TOML file ({error})") from error
    if not isinstance(axes, dict):
        raise SearchError(f"{path}: expected a table [axes] with a list of values for each axis")
    return axes


def _distribution(values: tuple[Value, ...]) -> BaseDistribution:
    """Numbers in even steps as such, so that samplers know their order; everything else as categories."""
    if len(values) > 1 and all(isinstance(value, int) and not isinstance(value, bool) for value in values):
        low, high, step = values[0], values[-1], values[1] - values[0]  # type: ignore[operator]
        if step > 0 and values == tuple(range(low, high + 1, step)):  # type: ignore[arg-type, operator]
            return IntDistribution(low, high, step=step)  # type: ignore[arg-type]
    return CategoricalDistribution(values)


def _number(text: str) -> Value:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
