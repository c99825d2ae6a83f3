"""What is in a file: jets a class, multiplicities, ranges and provenance, gathered in pieces."""

from __future__ import annotations

import json
import os
from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Group, RenderableType
from rich.table import Table

from jetformer_data.looking.contents import Contents, open_contents
from jetformer_data.looking.quantities import complete
from jetformer_data.raw import RawJets
from jetformer_data.statistics import Welford

_LONG = 100
_PERCENTILES = {"least": 0.0, "percentile_5": 5.0, "median": 50.0, "percentile_95": 95.0, "most": 100.0}
_DERIVED = ("jet_pt", "jet_mass")  # shown of every file, computed where they are not stored


def inspect(path: str | os.PathLike[str]) -> dict[str, Any]:
    """A summary that JSON can hold: keys `path format schema_version jets constituents classes features`...

    A class has its number of `jets`, the mean and percentiles of their constituents, and `jet_pt` and `jet_mass`.
    `features` and `jet_features` have `unit least mean std most` of each column, `dropped` what a source leaves out.
    """
    with open_contents(path) as file:
        classes = [_Class() for _ in file.class_names]
        columns, jet_columns = _Ranges(), _Ranges()
        dropped: Counter[str] = Counter()
        for raw in file.chunks():
            columns.update(raw.constituents)
            jet_columns.update(raw.jets)
            dropped.update(raw.dropped)
            derived = _derived(raw)
            for label in np.unique(raw.labels):
                mine = raw.labels == label
                classes[label].update(
                    np.diff(raw.offsets)[mine], {name: values[mine] for name, values in derived.items()}
                )
        return {
            "path": str(path),
            "format": file.source.format,
            "schema_version": file.version,
            "jets": len(file),
            "constituents": sum(int(c.counts @ np.arange(len(c.counts))) for c in classes),
            "classes": {name: c.summary() for name, c in zip(file.class_names, classes, strict=True)},
            "features": columns.table(file),
            "jet_features": jet_columns.table(file),
            "dropped": dict(dropped),
            "normalisation": _normalisation(file),
            "provenance": dict(file.provenance),
        }


def render(summary: dict[str, Any]) -> RenderableType:
    """The summary as tables for a terminal."""
    title = f"{summary['path']}: {summary['jets']:,} jets, {summary['constituents']:,} constituents"
    version = f" {summary['schema_version']}" if summary["schema_version"] else ""
    tables = [_class_table(summary), _jet_table(summary), _range_table(summary)]
    if summary["dropped"]:
        table = Table("left out by the reader", "number", title="Dropped")
        for reason, number in summary["dropped"].items():
            table.add_row(reason, f"{number:,}")
        tables.append(table)
    for table in tables:
        table.columns[0].overflow = "fold"
        for column in table.columns[1:]:
            column.justify = "right"
    if summary["provenance"]:
        tables.append(_provenance_table(summary["provenance"]))
    return Group(f"{title} ({summary['format']}{version})", *tables)


class _Class:
    """Numbers of one class. Multiplicities are whole numbers, so their histogram has all there is to know."""

    def __init__(self) -> None:
        self.counts = np.zeros(1, np.int64)
        self.ranges = _Ranges()

    def update(self, multiplicity: NDArray[np.int64], jets: dict[str, NDArray[Any]]) -> None:
        new = np.bincount(multiplicity, minlength=len(self.counts))
        new[: len(self.counts)] += self.counts
        self.counts = new
        self.ranges.update(jets)

    def summary(self) -> dict[str, Any]:
        jets, number = int(self.counts.sum()), np.arange(len(self.counts))
        within = np.cumsum(self.counts)
        return {
            "jets": jets,
            "mean": float(self.counts @ number / max(1, jets)),
            # The least number that at least so many per cent of the jets do not exceed.
            **{
                name: float(np.searchsorted(within, max(1, np.ceil(jets * share / 100)))) if jets else 0.0
                for name, share in _PERCENTILES.items()
            },
            **self.ranges.rows(),
        }


class _Ranges:
    """Least, most, mean and deviation of columns."""

    def __init__(self) -> None:
        self.columns: dict[str, Welford] = {}

    def update(self, columns: Any) -> None:
        for name, values in columns.items():
            self.columns.setdefault(name, Welford(1)).update(np.asarray(values)[:, None])

    def rows(self) -> dict[str, dict[str, Any]]:
        return {
            name: {
                "least": float(seen.least[0]),
                "mean": float(seen.mean[0]),
                "std": float(seen.std[0]),
                "most": float(seen.most[0]),
            }
            for name, seen in self.columns.items()
            if seen.count
        }

    def table(self, file: Contents) -> dict[str, dict[str, Any]]:
        return {name: {"unit": file.units.get(name, ""), **row} for name, row in self.rows().items()}


def _derived(raw: RawJets) -> dict[str, NDArray[np.float64]]:
    whole = complete(raw)
    return {name: whole.column(name) for name in _DERIVED if whole.has(name)}


def _class_table(summary: dict[str, Any]) -> Table:
    numbers = ("5 %", "median", "95 %", "most")
    table = Table("class", "jets", "share", "constituents: mean", *numbers, title="Classes")
    for name, row in _with_jets(summary).items():
        share = f"{100 * row['jets'] / max(1, summary['jets']):.1f} %"
        percentiles = [f"{row[k]:.0f}" for k in ("percentile_5", "median", "percentile_95", "most")]
        table.add_row(name, f"{row['jets']:,}", share, f"{row['mean']:.1f}", *percentiles)
    absent = len(summary["classes"]) - len(_with_jets(summary))
    table.caption = f"{absent} classes without jets are not shown" if absent else None
    return table


def _with_jets(summary: dict[str, Any]) -> dict[str, Any]:
    return {name: row for name, row in summary["classes"].items() if row["jets"]}


def _jet_table(summary: dict[str, Any]) -> Table:
    table = Table("class", title="pt and mass of the jets [GeV]")
    shown = [name for name in _DERIVED if any(name in row for row in summary["classes"].values())]
    for name in shown:
        for column in ("least", "mean", "most"):
            table.add_column(f"{name.removeprefix('jet_')}: {column}")
    for name, row in _with_jets(summary).items():
        if any(column in row for column in shown):
            table.add_row(
                name,
                *(f"{row[c][k]:.4g}" if c in row else "" for c in shown for k in ("least", "mean", "most")),
            )
    return table


def _range_table(summary: dict[str, Any]) -> Table:
    table = Table("feature", "unit", "least", "mean", "deviation", "most", title="Ranges")
    for kind in ("features", "jet_features"):
        for name, row in summary[kind].items():
            numbers = [f"{row[k]:.4g}" for k in ("least", "mean", "std", "most")]
            table.add_row(name, row["unit"], *numbers, end_section=name == list(summary[kind])[-1])
    return table


def _provenance_table(provenance: dict[str, Any]) -> Table:
    table = Table("provenance", "", title="Made by", show_header=False)
    for name, value in provenance.items():
        text = value if isinstance(value, str) else json.dumps(value)
        table.add_row(name, text if len(text) <= _LONG else text[:_LONG] + " ... (whole with --json)")
    return table


def _normalisation(file: Contents) -> dict[str, list[float]] | None:
    if file.normalisation is None:
        return None
    return {"mean": file.normalisation.mean.tolist(), "std": file.normalisation.std.tolist()}
