"""What is in a file: jets a class, multiplicities, ranges and provenance, gathered in pieces."""

from __future__ import annotations

import json
import os
from typing import Any

import numpy as np
from rich.console import Group, RenderableType
from rich.table import Table

from jetformer_data.jets import Jets
from jetformer_data.schema import Reader
from jetformer_data.statistics import Welford

_LONG = 100


def inspect(path: str | os.PathLike[str]) -> dict[str, Any]:
    """A summary that JSON can hold: keys `path schema_version jets constituents classes features jet_features`..."""
    with Reader(path) as reader:
        classes = len(reader.class_names)
        counts: list[list[Any]] = [[] for _ in range(classes)]
        ranges, jet_ranges = _Ranges(reader.feature_names), _Ranges(reader.jet_feature_names)
        for jets in reader.chunks():
            for label in range(classes):
                counts[label].append(jets.multiplicity[jets.labels == label].astype(np.int32))
            ranges.update(jets.constituents)
            if jets.jet_features is not None:
                jet_ranges.update(jets.jet_features)
        return {
            "path": str(path),
            "schema_version": reader.version,
            "jets": len(reader),
            "constituents": ranges.statistics.count,
            "classes": {
                name: _multiplicity(np.concatenate(parts) if parts else np.zeros(0))
                for name, parts in zip(reader.class_names, counts, strict=True)
            },
            "features": ranges.table(reader.feature_units),
            "jet_features": jet_ranges.table(reader.jet_feature_units),
            "normalisation": _normalisation(reader.read(0, 0)),
            "provenance": reader.provenance,
        }


def render(summary: dict[str, Any]) -> RenderableType:
    """The summary as tables for a terminal."""
    classes = Table(
        "class", "jets", "share", "constituents: mean", "5 %", "median", "95 %", "most", title="Classes"
    )
    for name, row in summary["classes"].items():
        share = f"{100 * row['jets'] / max(1, summary['jets']):.1f} %"
        numbers = [
            f"{row['mean']:.1f}",
            *(f"{row[k]:.0f}" for k in ("percentile_5", "median", "percentile_95", "most")),
        ]
        classes.add_row(name, f"{row['jets']:,}", share, *numbers)
    features = Table("feature", "unit", "least", "mean", "deviation", "most", title="Ranges")
    for kind in ("features", "jet_features"):
        for name, row in summary[kind].items():
            numbers = [f"{row[k]:.4g}" for k in ("least", "mean", "std", "most")]
            features.add_row(name, row["unit"], *numbers, end_section=name == list(summary[kind])[-1])
    provenance = Table("provenance", "", title="Made by", show_header=False)
    for name, value in summary["provenance"].items():
        text = value if isinstance(value, str) else json.dumps(value)
        provenance.add_row(name, text if len(text) <= _LONG else text[:_LONG] + " ... (whole with --json)")
    for table in (classes, features):
        for column in table.columns[1:]:
            column.justify = "right"
    title = (
        f"{summary['path']}: {summary['jets']:,} jets, {summary['constituents']:,} constituents "
        f"(schema {summary['schema_version']})"
    )
    return Group(title, classes, features, provenance)


class _Ranges:
    """Least, most, mean and deviation a column."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names
        self.statistics = Welford(len(names))
        self.least, self.most = np.full(len(names), np.inf), np.full(len(names), -np.inf)

    def update(self, values: Any) -> None:
        if len(values):
            self.statistics.update(values)
            self.least = np.minimum(self.least, values.min(axis=0))
            self.most = np.maximum(self.most, values.max(axis=0))

    def table(self, units: tuple[str, ...]) -> dict[str, dict[str, Any]]:
        if not self.statistics.count:
            return {}
        columns = zip(units, self.least, self.statistics.mean, self.statistics.std, self.most, strict=True)
        return {
            name: {
                "unit": unit,
                "least": float(low),
                "mean": float(mean),
                "std": float(std),
                "most": float(high),
            }
            for name, (unit, low, mean, std, high) in zip(self.names, columns, strict=True)
        }


def _multiplicity(counts: Any) -> dict[str, float]:
    names = ("least", "percentile_5", "median", "percentile_95", "most")
    values = np.percentile(counts, [0, 5, 50, 95, 100]) if len(counts) else np.zeros(len(names))
    mean = float(counts.mean()) if len(counts) else 0.0
    return {"jets": len(counts), "mean": mean, **{n: float(v) for n, v in zip(names, values, strict=True)}}


def _normalisation(jets: Jets) -> dict[str, list[float]] | None:
    if jets.normalisation is None:
        return None
    return {"mean": jets.normalisation.mean.tolist(), "std": jets.normalisation.std.tolist()}
