"""What a physicist looks at first: masses, momenta, multiplicities, features and images of the jets of each class.

Everything is filled in pieces, so that memory does not grow with the files, and needs NumPy only, so that any page can
draw it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from jetformer_data.errors import DataError
from jetformer_data.features import FEATURE_SETS, Feature, find_feature_set
from jetformer_data.histograms import Histogram, edges_between, edges_for
from jetformer_data.looking.contents import Contents, open_contents
from jetformer_data.looking.quantities import (
    JET_QUANTITIES,
    Quantity,
    complete,
    feature_quantities,
    features_of,
)
from jetformer_data.raw import RawJets

__all__ = ["Distributions", "Histogram", "compare", "distributions"]

Array = NDArray[np.float64]
BASIC = ("jet_mass", "jet_pt", "multiplicity")

_SAMPLE_JETS = 5_000
# The set that a format was published with.
_FEATURES = {
    "hls4ml": "hls4ml-16",
    "jetclass": "jetclass-17",
    "jetclass2": "jetclass-17",
    "four-vectors": "p4-7",
}
_MOST_BEYOND = 0.1  # of a sample, beyond the usual ends of an axis
_HALF_WIDTHS = (0.4, 0.8, 1.0, 1.5)


@dataclass(frozen=True, eq=False)
class Distributions:
    """Histograms of jets by name, of constituents' features by name, and jet images.

    jets            `[classes]`, how many of each class were seen
    images          `[classes, pixels, pixels]`: mean pt (GeV) a pixel and jet over etarel (first axis) and phirel, with
                    `image_edges` `[pixels + 1]` along both
    image_entries   `[classes, pixels, pixels]`: constituents a pixel; none at all where the file holds no momenta
    """

    class_names: tuple[str, ...]
    jets: NDArray[np.int64]
    histograms: dict[str, Histogram]
    images: Array
    image_edges: Array
    image_entries: NDArray[np.int64]
    features: dict[str, Histogram] = field(default_factory=dict)


def distributions(
    path: str | os.PathLike[str],
    pixels: int = 50,
    half_width: float | None = None,
    quantities: Sequence[str] = BASIC,
    jets: int | None = None,
) -> Distributions:
    """Histograms of `quantities` and images of the first `jets` jets (all of them unless given) of a file."""
    (seen,) = compare([path], pixels, half_width, quantities, None, jets)
    return seen


def compare(
    paths: Sequence[str | os.PathLike[str]],
    pixels: int = 50,
    half_width: float | None = None,
    quantities: Sequence[str] | None = None,
    features: str | None = "stored",
    jets: int | None = None,
) -> list[Distributions]:
    """The distributions of several files over the same edges, of what all of them have.

    `quantities`: names of `JET_QUANTITIES`; None: all. `features`: a feature set; `stored`: those of the first file of
    the array schema, or those that the format was published with; None: none.
    """
    with ExitStack() as stack:
        files = [stack.enter_context(open_contents(path)) for path in paths]
        for path, file in zip(paths, files, strict=True):
            if not len(file):
                raise DataError(f"{path}: holds no jets, so there is nothing to draw")
        read = [file.sample(_SAMPLE_JETS) for file in files]
        samples = [complete(raw) for raw in read]
        of_jets = [q for q in JET_QUANTITIES if quantities is None or q.name in quantities]
        of_jets = [q for q in of_jets if all(q.is_in(sample) for sample in samples)]
        if quantities is None:  # columns that a file must have, but that nobody filled, are zeros
            of_jets = [q for q in of_jets if all(_is_filled(q, sample) for sample in samples)]
        wanted = () if features is None else feature_quantities(_features(files, read, features))
        of_features = [q for q in wanted if all(q.is_in(sample) for sample in samples)]
        bins = _bins(files, samples, jets)
        edges = {q.name: _edges(q, samples, bins[q.entry]) for q in (*of_jets, *of_features)}
        if half_width is None:
            half_width = _half_width(samples)
        image_edges = np.linspace(-half_width, half_width, pixels + 1)
        return [_fill(file, of_jets, of_features, edges, image_edges, jets) for file in files]


def _fill(
    file: Contents,
    of_jets: Sequence[Quantity],
    of_features: Sequence[Quantity],
    edges: dict[str, Array],
    image_edges: Array,
    jets: int | None,
) -> Distributions:
    classes, pixels = len(file.class_names), len(image_edges) - 1
    empty = [
        {q.name: Histogram.empty(q.title, q.unit, edges[q.name], classes, q.entry) for q in group}
        for group in (of_jets, of_features)
    ]
    seen = np.zeros(classes, np.int64)
    momentum, entries = np.zeros((classes, pixels, pixels)), np.zeros((classes, pixels, pixels), np.int64)
    for raw in map(complete, file.chunks(stop=jets)):
        with np.errstate(all="ignore"):  # what is not a number is in no bin
            for quantity in (*of_jets, *of_features):
                histogram = empty[0].get(quantity.name) if quantity in of_jets else empty[1][quantity.name]
                assert histogram is not None
                histogram.fill(*quantity.formula(raw), raw.labels)
        seen += np.bincount(raw.labels, minlength=classes)
        if all(raw.has(name) for name in ("pt", "etarel", "phirel")):
            _add_images(raw, image_edges, momentum, entries)
    momentum /= np.maximum(1, seen)[:, None, None]
    return Distributions(file.class_names, seen, empty[0], momentum, image_edges, entries, empty[1])


def _add_images(raw: RawJets, edges: Array, momentum: Array, entries: NDArray[np.int64]) -> None:
    label = raw.labels[raw.jet_of]
    eta, phi, pt = (raw.column(name) for name in ("etarel", "phirel", "pt"))
    for k in np.unique(raw.labels):
        mine = label == k
        place = (eta[mine], phi[mine])
        momentum[k] += np.histogram2d(*place, bins=(edges, edges), weights=pt[mine])[0]
        entries[k] += np.histogram2d(*place, bins=(edges, edges))[0].astype(np.int64)


def _features(files: Sequence[Contents], samples: Sequence[RawJets], name: str) -> tuple[Feature, ...]:
    if name != "stored":
        return find_feature_set(name).features
    for file, sample in zip(files, samples, strict=True):
        if file.is_schema:
            return features_of(tuple(sample.constituents), file.units)
    return FEATURE_SETS[_FEATURES.get(files[0].source.format, "p4-7")].features


def _is_filled(quantity: Quantity, raw: RawJets) -> bool:
    with np.errstate(all="ignore"):
        values, _ = quantity.formula(raw)
    return bool((np.isfinite(values) & (values != 0)).any())


def _bins(files: Sequence[Contents], samples: Sequence[RawJets], jets: int | None) -> dict[str, int]:
    """So many that a bin's statistical error stays small beside its content: 60 from 3,000 jets a class on."""
    fewest = min(
        min(len(file), jets or len(file)) / len(np.unique(sample.labels))
        for file, sample in zip(files, samples, strict=True)
    )
    bins = int(np.clip(2.5 * fewest**0.4, 20, 60))
    return {"jets": bins, "constituents": min(60, 3 * bins // 2)}


def _edges(quantity: Quantity, samples: Sequence[RawJets], bins: int) -> Array:
    with np.errstate(all="ignore"):
        values = np.concatenate([quantity.formula(sample)[0] for sample in samples])
    if quantity.low is not None and quantity.high is not None:
        beyond = np.mean((values < quantity.low) | (values > quantity.high)) if len(values) else 0.0
        if beyond < _MOST_BEYOND:
            return edges_between(quantity.low, quantity.high, bins)
    return edges_for(values, bins)


def _half_width(samples: Sequence[RawJets]) -> float:
    """The least usual radius that holds nearly all constituents."""
    angles = [
        np.maximum(abs(sample.column("etarel")), abs(sample.column("phirel")))
        for sample in samples
        if sample.has("etarel") and sample.has("phirel")
    ]
    farthest = float(np.percentile(np.concatenate(angles), 99)) if angles and sum(map(len, angles)) else 0.4
    return next((width for width in _HALF_WIDTHS if farthest <= width), _HALF_WIDTHS[-1])
