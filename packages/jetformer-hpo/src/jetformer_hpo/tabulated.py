"""A space whose points have all been measured once: samplers are compared on it without training anything.

A table is a JSON file: the axes of the space, the measured quantities with their directions, where they come from, and a row
for each point: its values on the axes, then the quantities.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jetformer_hpo.errors import SearchError
from jetformer_hpo.space import Point, Space
from jetformer_hpo.study import Direction

FORMAT = "jetformer-hpo table 1"
SHIPPED = Path(__file__).parent / "tables"

Measured = dict[str, float]


@dataclass
class Table:
    """Values of each quantity at the measured points of `space`.

    quantities: direction of each, "maximize" or "minimize"
    """

    space: Space
    quantities: dict[str, Direction]
    provenance: dict[str, Any]
    rows: dict[Point, Measured] = field(default_factory=dict)

    def __call__(self, point: Point) -> Measured:
        """What was measured there. Raises SearchError for a point that was not measured."""
        if point not in self.rows:
            raise SearchError(f"the table has no values for {self.space.parameters(point)}")
        return self.rows[point]

    @property
    def complete(self) -> bool:
        """Whether every point is measured."""
        return len(self.rows) == len(self.space)

    def missing(self) -> Iterator[Point]:
        """Points that are not measured yet, in the order of the space."""
        return (point for point in self.space if point not in self.rows)

    def add(self, point: Point, measured: Mapping[str, float]) -> None:
        """Raises SearchError if a quantity is missing or no finite number."""
        for name in self.quantities:
            if not math.isfinite(measured.get(name, math.nan)):
                raise SearchError(
                    f"{self.space.parameters(point)}: expected a number for {name!r}, got {measured}"
                )
        self.rows[point] = {name: measured[name] for name in self.quantities}

    def write(self, path: Path) -> None:
        """A line for each point; under its name only when it is whole."""
        head = {
            "format": FORMAT,
            "provenance": self.provenance,
            "axes": self.space.as_dict(),
            "quantities": self.quantities,
        }
        lines = [f" {json.dumps(key)}: {json.dumps(value)}," for key, value in head.items()]
        rows = [json.dumps([*point, *measured.values()]) for point, measured in self.rows.items()]
        text = "\n".join(["{", *lines, ' "rows": [', "  " + ",\n  ".join(rows), " ]", "}", ""])
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(path.name + ".part")
        partial.write_text(text, encoding="utf-8")
        os.replace(partial, path)


def load_table(name: str | Path) -> Table:
    """A shipped table by its name, or a file. Raises SearchError if it is none."""
    shipped = SHIPPED / f"{name}.json"
    path = shipped if shipped.is_file() else Path(name)
    try:
        return _table(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        known = ", ".join(sorted(path.stem for path in SHIPPED.glob("*.json")))
        raise SearchError(f"table {str(name)!r}: expected a readable file or one of {known}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SearchError(f"{path}: not a table of jetformer-hpo ({error!r})") from error


def _table(stored: dict[str, Any]) -> Table:
    if stored["format"] != FORMAT:
        raise ValueError(f"expected format {FORMAT!r}, got {stored['format']!r}")
    space = Space.of(stored["axes"])
    table = Table(space, stored["quantities"], stored["provenance"])
    if wrong := [d for d in table.quantities.values() if d not in ("maximize", "minimize")]:
        raise ValueError(f"expected maximize or minimize, got {wrong[0]!r}")
    known, axes = set(space), len(space.axes)
    for row in stored["rows"]:
        point = tuple(row[:axes])
        if point not in known or point in table.rows:
            raise ValueError(f"row {row} is of no point of the space, or of one that has a row already")
        table.add(point, dict(zip(table.quantities, row[axes:], strict=True)))
    return table


def tabulate(
    table: Table,
    evaluate: Callable[[Point], Mapping[str, float]],
    path: Path,
    *,
    progress: Callable[[int], object] = bool,
) -> dict[Point, str]:
    """Measure the points that `table` lacks and write it to `path` after each; returns why points failed.

    progress: told after each point how many the table holds
    """
    failures = {}
    for point in list(table.missing()):
        try:
            table.add(point, evaluate(point))
        except Exception as error:  # one bad point costs one row; the next run tries it again
            failures[point] = str(error)
        else:
            table.write(path)
        progress(len(table.rows))
    return failures
