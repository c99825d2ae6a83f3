"""Simulated JetClass jets against real ones, and how fast they are made: python benchmarks/jetclass.py REAL_FOLDER

Real are 1,000 H->bb jets (four-momenta) and 100 each of t->bqq' and t->blv with all 17 features. The features are compared
on the two kinds of top jets together, as many of each. A picture goes to build/bench/jetclass-features.png.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jetformer_data.features import FEATURE_SETS, to_jets
from jetformer_data.jets import Jets
from jetformer_data.raw import RawJets
from jetformer_data.simulation.making import make_jets
from jetformer_data.simulation.processes import STYLES

STYLE = STYLES["jetclass"]
FEATURES = FEATURE_SETS["jetclass-17"]
COMPARED = ("Hbb", "Tbqq", "Tbl")
TOPS = ("Tbqq", "Tbl")
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
SEED, COMPARED_JETS, TIMED_JETS = 1, 2_400, 2_000
PICTURE = Path(__file__).parents[3] / "build" / "bench" / "jetclass-features.png"

Array = NDArray[np.floating[Any]]


def measure(real_folder: Path) -> dict[str, Any]:
    """Multiplicities, quantiles of the features, and jets of ten classes a CPU second."""
    simulated = simulate(COMPARED_JETS, SEED)
    found = {
        "jetclass_multiplicity": compare_multiplicities(real_multiplicities(real_folder), simulated),
        "jetclass_features": compare_features(real_top_features(real_folder), simulated),
    }
    draw(real_top_features(real_folder), top_features(simulated), PICTURE)
    begin = time.process_time()
    make_jets(STYLE, 0, TIMED_JETS, np.random.SeedSequence(SEED), lambda done: None)
    seconds = time.process_time() - begin
    return found | {
        "jetclass_jets_per_cpu_s": round(TIMED_JETS / seconds, 1),
        "jetclass_settings": {"seed": SEED, "compared_jets": COMPARED_JETS, "timed_jets": TIMED_JETS},
    }


def simulate(jets: int, seed: int) -> RawJets:
    """Jets of the three classes that there are real ones of, as many of each."""
    style = replace(STYLE, processes={name: STYLE.processes[name] for name in COMPARED})
    return make_jets(style, 0, jets, np.random.SeedSequence(seed), lambda done: None)


def real_multiplicities(folder: Path) -> dict[str, NDArray[np.int64]]:
    """Constituents a jet."""
    with np.load(folder / "jetclass_hbb_real_1000.npz") as file:
        found = {"Hbb": np.diff(file["offsets"])}
    with np.load(folder / "jetclass_top_real_200.npz") as file:
        for name in TOPS:
            found[name] = np.diff(file["offsets"])[file["labels"] == STYLE.class_names.index(name)]
    return found


def real_top_features(folder: Path) -> dict[str, Array]:
    """The features `[constituents]` of t->bqq' and t->blv jets; the file has them standardised."""
    with np.load(folder / "jetclass_top_real_200.npz") as file:
        stored = file["features"].astype(np.float64)
    return {
        feature.name: np.clip(column / feature.multiply + feature.subtract, feature.low, feature.high)
        for feature, column in zip(FEATURES.features, stored.T, strict=True)
    }


def top_features(simulated: RawJets) -> dict[str, Array]:
    """The same of simulated jets."""
    chosen = np.isin(simulated.labels, [simulated.class_names.index(name) for name in TOPS])
    jets: Jets = to_jets(simulated.select(chosen), FEATURES)[0]
    return {name: jets.column(name).astype(np.float64) for name in jets.feature_names}


def compare_multiplicities(
    real: dict[str, NDArray[np.int64]], simulated: RawJets
) -> dict[str, dict[str, float]]:
    """Means, and errors of the real ones, which are few."""
    counts = {
        name: np.diff(simulated.select(simulated.labels == label).offsets)
        for label, name in enumerate(simulated.class_names)
    }
    return {
        name: {
            "real": float(real[name].mean()),
            "real_error": float(real[name].std() / len(real[name]) ** 0.5),
            "simulated": float(counts[name].mean()),
            "simulated_error": float(counts[name].std() / len(counts[name]) ** 0.5),
        }
        for name in COMPARED
    }


def compare_features(real: dict[str, Array], simulated: RawJets) -> dict[str, dict[str, Any]]:
    """Means and quantiles; those of impact parameters and charge are of tracks alone, others have none."""
    ours = top_features(simulated)
    result = {}
    for name in FEATURES.names:
        pair = {"real": shown(name, real), "simulated": shown(name, ours)}
        result[name] = {f"{side}_mean": float(values.mean()) for side, values in pair.items()} | {
            f"{side}_quantiles": np.quantile(values, QUANTILES).tolist() for side, values in pair.items()
        }
    return result


def shown(name: str, features: dict[str, Array]) -> Array:
    """The values of a feature that are compared."""
    of_tracks = name.startswith(("part_d0", "part_dz")) or name == "part_charge"
    return features[name][features["part_charge"] != 0] if of_tracks else features[name]


def draw(real: dict[str, Array], simulated: dict[str, Array], path: Path) -> None:
    """The 17 features in one picture: simulated as steps, real as points with their statistical errors."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(3, 6, figsize=(21, 10), layout="constrained")
    for axis, feature in zip(axes.flat, FEATURES.features, strict=False):
        name = feature.name
        ours, theirs = shown(name, simulated), shown(name, real)
        if set(np.unique(theirs)) <= {-1, 0, 1}:
            edges = np.arange(-1.5, 2) if name == "part_charge" else np.arange(-0.5, 2)
        else:
            edges = np.linspace(*np.quantile(theirs, (0.002, 0.998)), 31)
        width = np.diff(edges)
        counts = np.histogram(theirs, edges)[0]
        middle = (edges[1:] + edges[:-1]) / 2
        scale = 1 / (len(theirs) * width)
        axis.stairs(np.histogram(ours, edges)[0] / (len(ours) * width), edges, label="simulated", color="C0")
        axis.errorbar(middle, counts * scale, np.sqrt(counts) * scale, fmt="k.", label="real", markersize=4)
        axis.set_xlabel(f"{name} ({feature.unit})" if feature.unit != "1" else name)
        axis.set_yscale("log" if name in ("part_d0", "part_dz", "part_d0err", "part_dzerr") else "linear")
    axes.flat[0].legend()
    axes.flat[-1].axis("off")
    axes.flat[-1].text(0, 0.5, "top jets, t->bqq' and t->blv\n1,600 simulated, 200 real", fontsize=12)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=80)
    pyplot.close(figure)


if __name__ == "__main__":
    print(json.dumps(measure(Path(sys.argv[1])), indent=1))
