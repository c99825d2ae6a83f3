"""Weights that make classes equally frequent and their spectra flat, so that a network cannot tag by pt or eta.

In each class the jets are counted in bins of jet features, such as pt and eta. A jet's weight is the wanted content of
its bin over the true one,

    w(class, bin) = f_class * min(1, reference_class / n(class, bin)),

where `reference_class` is a low percentile of the class's filled bins (fuller bins are thinned down to it; emptier ones
stay as they are, so that a few jets in a corner never get a huge weight), and `f_class` scales the sums of weights of the
classes to the wanted ratio. This is the recipe that JetClass taggers are trained with (flat in pt and eta, thresholded).
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jetformer_data.errors import DataError
from jetformer_data.filesets import Paths, find_files
from jetformer_data.jets import feature_columns
from jetformer_data.schema import Reader
from jetformer_data.splitting import FRACTIONS, SplitRule, jet_keys, split_rule

PERCENTILE = 10.0
_PIECE = 200_000


@dataclass(frozen=True, eq=False)
class WeightTable:
    """A weight for each class and bin; the largest is 1.

    class_names
    variables   jet features that the bins are bins of: none (weights a class), or one or more
    edges       for each variable the edges of its bins, rising; a jet outside of them has weight 0
    weights     float64 `[classes, bins of the first variable, ...]`
    """

    class_names: tuple[str, ...]
    variables: tuple[str, ...]
    edges: tuple[tuple[float, ...], ...]
    weights: NDArray[np.float64]

    def of(self, labels: NDArray[np.int64], values: NDArray[np.floating]) -> NDArray[np.float32]:
        """Weights float32 `[jets]`; `values` `[jets, variables]` are the jets' features in the order of `variables`."""
        bins, inside = _bins(values, self.edges)
        return np.where(inside, self.weights[labels, *bins], 0.0).astype(np.float32)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Store as JSON, atomically."""
        path = Path(path)
        draft = path.with_name(f".{path.name}.partial")
        draft.write_text(json.dumps(self.to_dict(), indent=1) + "\n", encoding="utf-8")
        os.replace(draft, path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> WeightTable:
        """A table that `save` stored; raises `DataError` where the file holds something else."""
        try:
            return cls.from_dict(json.loads(Path(path).read_text(encoding="utf-8")))
        except OSError as error:
            raise DataError(f"{path}: cannot be read ({error.strerror})") from error
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(f"{path}: is not a table of weights ({error})") from error

    def to_dict(self) -> dict[str, Any]:
        return {
            "format": "jetformer-weights",
            "class_names": list(self.class_names),
            "variables": dict(zip(self.variables, map(list, self.edges), strict=True)),
            "weights": self.weights.tolist(),
        }

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> WeightTable:
        if stored["format"] != "jetformer-weights":
            raise ValueError(f"its format is {stored['format']}")
        edges = tuple(tuple(float(edge) for edge in row) for row in stored["variables"].values())
        table = cls(
            tuple(stored["class_names"]),
            tuple(stored["variables"]),
            edges,
            np.array(stored["weights"], float),
        )
        shape = (len(table.class_names), *(len(row) - 1 for row in edges))
        if table.weights.shape != shape:
            raise ValueError(f"its weights have shape {table.weights.shape}, expected {shape}")
        if not np.isfinite(table.weights).all() or table.weights.min() < 0 or table.weights.max() <= 0:
            raise ValueError("its weights are not all finite, none negative and one positive")
        return table


def weight_table(
    paths: Paths,
    variables: Mapping[str, Sequence[float]] | None = None,
    class_weights: Mapping[str, float] | None = None,
    percentile: float = PERCENTILE,
    split: str = "train",
    fractions: Sequence[float] = FRACTIONS,
    stratified: bool = False,
) -> WeightTable:
    """The table of one split of some files, from one pass over their labels and jet features.

    variables       jet feature -> edges of its bins, such as `{"jet_pt": [500, 600, 1000], "jet_eta": [-2, 0, 2]}`
    class_weights   class -> its sum of weights relative to the other classes; 1 where nothing is said
    percentile      of the contents of a class's filled bins: what fuller bins are thinned to
    """
    variables = dict(variables or {})
    edges = tuple(_require_edges(name, row) for name, row in variables.items())
    files = find_files(paths)
    with Reader(files[0]) as reader:
        names = reader.class_names
    counts = np.zeros((len(names), *(len(row) - 1 for row in edges)))
    for path in files:
        with Reader(path) as reader:
            if reader.class_names != names:
                raise DataError(
                    f"{path}: its classes are {', '.join(reader.class_names)}, not {', '.join(names)}"
                )
            _count(reader, tuple(variables), edges, split_rule(reader, split, fractions, stratified), counts)
    if not counts.any():
        raise DataError("no jets lie inside the bins, so there are no weights to compute")
    return WeightTable(
        names, tuple(variables), edges, _weights(counts, names, class_weights or {}, percentile)
    )


def _weights(
    counts: NDArray[np.float64], names: tuple[str, ...], wanted: Mapping[str, float], percentile: float
) -> NDArray[np.float64]:
    if unknown := set(wanted) - set(names):
        raise DataError(f"class '{min(unknown)}': not among the classes ({', '.join(names)})")
    weights = np.zeros_like(counts)
    for label, name in enumerate(names):
        filled = counts[label] > 0
        if filled.any():
            reference = np.percentile(counts[label][filled], percentile)
            flat = np.minimum(1.0, reference / np.maximum(counts[label], 1)) * filled
            weights[label] = flat * (wanted.get(name, 1.0) / (flat * counts[label]).sum())
    if not weights.max() > 0 or weights.min() < 0:
        raise DataError("class weights: expected numbers, none negative and one positive")
    return np.asarray(weights / weights.max())


def _count(
    reader: Reader,
    variables: tuple[str, ...],
    edges: tuple[tuple[float, ...], ...],
    rule: SplitRule,
    counts: NDArray[np.float64],
) -> None:
    """Add the jets of a file to the counts of classes and bins."""
    columns = feature_columns(variables, reader.jet_feature_names)
    for start in range(0, len(reader), _PIECE):
        stop = min(start + _PIECE, len(reader))
        labels = reader.per_jet("labels", start, stop)
        values = (
            reader.per_jet("jet_features", start, stop)[:, columns] if columns else np.empty((len(labels), 0))
        )
        bins, inside = _bins(values, edges)
        chosen = inside & rule.mask(jet_keys(reader, start, stop), labels)
        np.add.at(counts, (labels[chosen], *(row[chosen] for row in bins)), 1)


def _bins(
    values: NDArray[np.floating], edges: tuple[tuple[float, ...], ...]
) -> tuple[list[NDArray[np.int64]], NDArray[np.bool_]]:
    """The bin of each jet in each variable, and whether it lies inside of all of them."""
    inside = np.ones(len(values), bool)
    bins = []
    for column, row in enumerate(edges):
        found = np.searchsorted(row, values[:, column], side="right") - 1
        inside &= (found >= 0) & (found < len(row) - 1)
        bins.append(np.clip(found, 0, len(row) - 2))
    return bins, inside


def _require_edges(name: str, row: Sequence[float]) -> tuple[float, ...]:
    edges = tuple(float(edge) for edge in row)
    if len(edges) < 2 or not (np.diff(edges) > 0).all():
        raise DataError(f"edges of '{name}': expected two or more rising numbers, got {list(row)}")
    return edges
