"""The table of a comparison: a row for each tagger and number of constituents, seeds put together."""

from __future__ import annotations

import csv
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from rich.table import Table

from jetformer_model.booktabs import booktabs
from jetformer_model.comparison import Entry


@dataclass(frozen=True)
class Number:
    """A mean over seeds and its uncertainty; None where there is no number.

    error: the standard error over seeds and that of the sample of test jets (bootstrap), added in quadrature. The second is
        common to all taggers, so that differences between them are known better than this says.
    """

    value: float | None
    error: float | None

    def __str__(self) -> str:
        """As particle physicists write it: 0.9312(14), the error in units of the last digits."""
        if self.value is None:
            return "-"
        if not self.error:
            return f"{self.value:.4g}"
        digits = max(0, 1 - math.floor(math.log10(self.error)))
        error = round(self.error * 10**digits) if digits else round(self.error)
        return f"{self.value:.{digits}f}({error})"

    def times(self, factor: float) -> Number:
        """Both times a factor."""
        return Number(*(None if one is None else one * factor for one in (self.value, self.error)))


@dataclass(frozen=True)
class Row:
    """One tagger at one number of constituents; `numbers` by column: accuracy, auc, auc NAME, rejection NAME."""

    tagger: str
    constituents: int
    seeds: int
    parameters: int
    flops: int
    jets_per_s: float | None
    numbers: dict[str, Number]


def make_rows(results: Mapping[Entry, dict[str, Any]], speeds: Mapping[tuple[str, int], float]) -> list[Row]:
    """Rows by constituents and then from the best accuracy to the worst."""
    together: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for entry in sorted(results):
        together.setdefault((entry.tagger, entry.constituents), []).append(results[entry])
    rows = [
        Row(
            *key,
            len(found),
            found[0]["parameters"],
            found[0]["flops"],
            speeds.get(key),
            _numbers(found),
        )
        for key, found in together.items()
    ]
    return sorted(rows, key=lambda row: (row.constituents, -(row.numbers["accuracy"].value or 0)))


def _numbers(found: Sequence[dict[str, Any]]) -> dict[str, Number]:
    def number(*path: str) -> Number:
        return _number([_at(one, path) for one in found], [_at(one["intervals"], path) for one in found])

    first = found[0]
    return {
        "accuracy": number("accuracy").times(100),
        "auc": number("auc_macro"),
        **{f"auc {name}": number("auc", name) for name in first["auc"]},
        **{
            f"rejection {name}": number("rejection_at_working_point", name)
            for name in first["rejection_at_working_point"]
        },
    }


def _number(values: Sequence[float | None], intervals: Sequence[tuple[float | None, float | None]]) -> Number:
    finite = [value for value in values if value is not None]
    if len(finite) < len(values):
        return Number(None, None)
    halves = [(high - low) / 2 for low, high in intervals if low is not None and high is not None]
    sample = statistics.mean(halves) if len(halves) == len(values) else 0.0
    seeds = statistics.stdev(finite) / math.sqrt(len(finite)) if len(finite) > 1 else 0.0
    return Number(statistics.mean(finite), math.hypot(sample, seeds))


def _at(found: Any, path: Sequence[str]) -> Any:
    for key in path:
        found = found[key]
    return found


def _headings(rows: Sequence[Row]) -> dict[str, str]:
    """Headings of the columns of numbers."""
    names = {"accuracy": "accuracy %", "auc": "AUC"}
    return {key: names.get(key, key.replace("auc", "AUC")) for key in rows[0].numbers}


def as_text(rows: Sequence[Row]) -> Table:
    """For a terminal."""
    headings = _headings(rows)
    table = Table(
        "tagger", "P", "seeds", *headings.values(), "parameters", "FLOPs", "jets/s", title="Test split"
    )
    for column in table.columns[1:]:
        column.justify = "right"
        column.no_wrap = True
    for row in rows:
        speed = "-" if row.jets_per_s is None else f"{row.jets_per_s:,.0f}"
        numbers = [str(row.numbers[key]) for key in headings]
        sizes = (f"{row.parameters:,}", f"{row.flops:,}", speed)
        table.add_row(row.tagger, str(row.constituents), str(row.seeds), *numbers, *sizes)
    return table


def write_csv(rows: Sequence[Row], path: Path) -> None:
    """All digits, each number followed by its error."""
    keys = list(rows[0].numbers)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        heads = [head for key in keys for head in (key, f"{key} error")]
        writer.writerow(["tagger", "constituents", "seeds", *heads, "parameters", "flops", "jets_per_s"])
        for row in rows:
            numbers = [one for key in keys for one in (row.numbers[key].value, row.numbers[key].error)]
            writer.writerow(
                [row.tagger, row.constituents, row.seeds, *numbers, row.parameters, row.flops, row.jets_per_s]
            )


def as_latex(rows: Sequence[Row]) -> str:
    """A table for the booktabs package, with a line between numbers of constituents."""
    headings = _headings(rows)

    def cells(row: Row) -> list[object]:
        speed = "--" if row.jets_per_s is None else f"{row.jets_per_s:,.0f}"
        numbers = (row.numbers[key] for key in headings)
        return [row.tagger, row.constituents, *numbers, f"{row.parameters:,}", f"{row.flops:,}", speed]

    groups = [[*map(cells, group)] for _, group in groupby(rows, key=lambda row: row.constituents)]
    return booktabs(["tagger", "$P$", *headings.values(), "parameters", "FLOPs", "jets/s"], *groups, left=1)
