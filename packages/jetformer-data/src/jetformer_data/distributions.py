"""What a physicist looks at first: masses, momenta, multiplicities and images of the jets of each class."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jetformer_data.jets import Jets
from jetformer_data.kinematics import jet_axis_features
from jetformer_data.schema import Reader

FEATURES = ("pt", "etarel", "phirel")


@dataclass(frozen=True, eq=False)
class Histogram:
    """Jets a bin for each class: `edges` `[bins + 1]` in `unit`, `counts` `[classes, bins]`.

    Jets beyond the last edge are in no bin.
    """

    title: str
    unit: str
    edges: NDArray[np.float64]
    counts: NDArray[np.int64]

    def density(self) -> NDArray[np.float64]:
        """Share of a class's jets a bin, `[classes, bins]`."""
        return self.counts / np.maximum(1, self.counts.sum(axis=1, keepdims=True))


@dataclass(frozen=True, eq=False)
class Distributions:
    """Histograms by name (`jet_mass`, `jet_pt`, `multiplicity`) and jet images.

    `images` `[classes, pixels, pixels]`: mean pt (GeV) a pixel and jet over etarel (first axis) and phirel, with
    `image_edges` `[pixels + 1]` along both.
    """

    class_names: tuple[str, ...]
    jets: NDArray[np.int64]
    histograms: dict[str, Histogram]
    images: NDArray[np.float64]
    image_edges: NDArray[np.float64]


def distributions(path: str | os.PathLike[str], pixels: int = 50, half_width: float = 0.4) -> Distributions:
    """Fill the histograms and images from a file, in pieces; needs NumPy only, so that any page can draw them."""
    with Reader(path) as reader:
        classes = len(reader.class_names)
        histograms = _empty(reader, classes)
        jets_seen = np.zeros(classes, np.int64)
        images = np.zeros((classes, pixels, pixels))
        image_edges = np.linspace(-half_width, half_width, pixels + 1)
        for jets in reader.chunks():
            pt, mass = _momentum_and_mass(jets)
            values: dict[str, NDArray[Any]] = {
                "jet_mass": mass,
                "jet_pt": pt,
                "multiplicity": jets.multiplicity,
            }
            for name, histogram in histograms.items():
                histogram.counts[:] += _by_class(values[name], jets.labels, histogram.edges, classes)
            jets_seen += np.bincount(jets.labels, minlength=classes)
            images += _images(jets, image_edges, classes)
    images /= np.maximum(1, jets_seen)[:, None, None]
    return Distributions(reader.class_names, jets_seen, histograms, images, image_edges)


def _empty(reader: Reader, classes: int) -> dict[str, Histogram]:
    """Histograms whose ranges fit the first jets."""
    pt, _ = _momentum_and_mass(reader.read(0, 10_000))
    low, high = np.percentile(pt, [0.5, 99.5]) if len(pt) else (0.0, 1.0)
    margin = 0.1 * (high - low) + 1.0
    edges: dict[str, tuple[str, str, Any]] = {
        "jet_mass": ("Jet mass", "GeV", np.linspace(0, 300, 76)),
        "jet_pt": ("Jet pt", "GeV", np.linspace(low - margin, high + margin, 31)),
        "multiplicity": ("Constituents in a jet", "", np.arange(-0.5, 160.5, 5)),
    }
    return {
        name: Histogram(title, unit, e, np.zeros((classes, len(e) - 1), np.int64))
        for name, (title, unit, e) in edges.items()
    }


def _momentum_and_mass(jets: Jets) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """pt and mass (GeV) of the sum of a jet's constituents; neither depends on where the jet's axis points."""
    constituents = np.stack([jets.column(name) for name in FEATURES], axis=1)
    axis = np.zeros(len(jets))
    features = jet_axis_features(constituents, jets.offsets, axis, axis)
    return features[:, 0], features[:, 3]


def _by_class(
    values: NDArray[Any], labels: NDArray[np.int64], edges: NDArray[np.float64], classes: int
) -> NDArray[np.int64]:
    return np.stack([np.histogram(values[labels == label], edges)[0] for label in range(classes)])


def _images(jets: Jets, edges: NDArray[np.float64], classes: int) -> NDArray[np.float64]:
    label = np.repeat(jets.labels, jets.multiplicity)
    pt, eta, phi = (jets.column(name) for name in FEATURES)
    return np.stack(
        [
            np.histogram2d(eta[label == k], phi[label == k], bins=(edges, edges), weights=pt[label == k])[0]
            for k in range(classes)
        ]
    )
