"""Simulated HLS4ML jets against real ones, and how fast they are made: python benchmarks/fidelity.py REAL_FOLDER

Real are 1,000 jets: angles of all constituents, by falling pt. Classes are told apart by extremely randomised trees that
see the angles of the first k constituents and how many there are, scored by cross-validation. Accuracy grows with the
number of jets, so simulated jets are scored in samples of the composition of the real one. What was tuned was
tuned on one half of the real jets, the even ones of each class, and both halves are compared apart.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jetformer_data.jets import offsets_of
from jetformer_data.raw import RawJets
from jetformer_data.simulation.making import make_jets
from jetformer_data.simulation.processes import STYLES

STYLE = STYLES["hls4ml"]
FIRST = (0, 8, 16, 32)
# Real jets are few: their accuracy is averaged over this many ways to fold them.
FOLDS, FOLDINGS, TREES = 5, 4, 200
SEED, JETS = 1, 12_000
LEADING = 8
HALVES = {"tuned_on": 0, "held_back": 1}


def measure(real_folder: Path) -> dict[str, Any]:
    """Accuracies, mean multiplicities, median delta R of the leading constituents, and jets a CPU second."""
    real = read_real(real_folder)
    begin = time.process_time()
    simulated = simulate(JETS, SEED)
    seconds = time.process_time() - begin
    halves = {name: compare(half_of(real, half), simulated) for name, half in HALVES.items()}
    return {
        "fidelity": compare_accuracies(real, simulated),
        "multiplicity": {name: pair["multiplicity"] for name, pair in compare(real, simulated).items()},
        "delta_r": {name: pair["delta_r"] for name, pair in compare(real, simulated).items()},
        "fidelity_halves": halves,
        "generator_jets_per_cpu_s": round(JETS / seconds, 1),
        "generator_plain_loop_jets_per_cpu_s": 64,  # measured before, with the same collisions: no veto, no batches
        "fidelity_settings": {
            "seed": SEED,
            "jets": JETS,
            "folds": FOLDS,
            "foldings": FOLDINGS,
            "trees": TREES,
        },
    }


def simulate(jets: int, seed: int) -> RawJets:
    """Jets as the generator makes them."""
    return make_jets(STYLE, 0, jets, np.random.SeedSequence(seed), lambda done: None)


def read_real(folder: Path) -> RawJets:
    """The real jets: nothing but etarel and phirel."""
    with np.load(folder / "hls4ml_150p_real_1000.npz") as file:
        etarel, phirel = file["etarel_phirel"].astype(np.float64).T
        names = tuple(str(name) for name in file["classes"])
        return RawJets({"etarel": etarel, "phirel": phirel}, file["offsets"], file["labels"], names)


def half_of(jets: RawJets, half: int) -> RawJets:
    """The even (0) or odd (1) jets of each class, in the order of the file."""
    position = np.zeros(len(jets), np.int64)
    for label in range(len(jets.class_names)):
        chosen = jets.labels == label
        position[chosen] = np.arange(chosen.sum())
    return jets.select(position % 2 == half)


def compare(real: RawJets, simulated: RawJets) -> dict[str, dict[str, dict[str, float]]]:
    """Mean multiplicity, with the error of the real one, and median delta R of the leading constituents, a class."""
    found = {}
    for label, name in enumerate(real.class_names):
        pair = [jets.select(jets.labels == label) for jets in (real, simulated)]
        counts, widths = zip(*(spectra(jets) for jets in pair), strict=True)
        found[name] = {
            "multiplicity": {
                "real": round(float(counts[0].mean()), 2),
                "simulated": round(float(counts[1].mean()), 2),
                "error": round(float(counts[0].std() / len(counts[0]) ** 0.5), 2),
            },
            "delta_r": {
                "real": round(float(np.median(widths[0])), 4),
                "simulated": round(float(np.median(widths[1])), 4),
            },
        }
    return found


def spectra(jets: RawJets) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Constituents a jet, and delta R of each of the first `LEADING` constituents of the jets."""
    counts = np.diff(jets.offsets)
    rank = np.arange(jets.offsets[-1]) - np.repeat(jets.offsets[:-1], counts)
    delta_r = np.hypot(jets.column("etarel"), jets.column("phirel"))
    return counts, delta_r[rank < LEADING]


def compare_accuracies(real: RawJets, simulated: RawJets) -> list[dict[str, float]]:
    """Accuracy at each number of constituents.

    `error` is the statistical one of as many jets as there are real ones; `simulated_error` that of the mean over the
    simulated samples.
    """
    samples = samples_like(real, simulated)
    of_real = np.mean([accuracies(real, folding) for folding in range(FOLDINGS)], axis=0)
    of_samples = np.array([accuracies(sample, k) for k, sample in enumerate(samples)])
    return [
        {
            "k": k,
            "real": round(float(of_real[i]), 4),
            "simulated": round(float(of_samples[:, i].mean()), 4),
            "error": round(float((of_real[i] * (1 - of_real[i]) / len(real)) ** 0.5), 4),
            "simulated_error": round(float(of_samples[:, i].std(ddof=1) / len(samples) ** 0.5), 4),
        }
        for i, k in enumerate(FIRST)
    ]


def samples_like(real: RawJets, simulated: RawJets) -> list[RawJets]:
    """As many samples with the composition of the real one as the simulated jets give."""
    wanted = np.bincount(real.labels)
    rows = [np.flatnonzero(simulated.labels == label) for label in range(len(wanted))]
    number = min(len(row) // count for row, count in zip(rows, wanted, strict=True))
    return [
        simulated.select(
            np.concatenate([row[s * n : (s + 1) * n] for row, n in zip(rows, wanted, strict=True)])
        )
        for s in range(number)
    ]


def accuracies(jets: RawJets, seed: int) -> list[float]:
    """Cross-validated accuracy at each number of constituents."""
    from sklearn.ensemble import ExtraTreesClassifier
    from sklearn.model_selection import StratifiedKFold, cross_val_score

    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    trees = ExtraTreesClassifier(TREES, random_state=seed)
    return [float(cross_val_score(trees, inputs(jets, k), jets.labels, cv=folds).mean()) for k in FIRST]


def inputs(jets: RawJets, first: int) -> NDArray[np.float64]:
    """`[jets, 2 first + 1]`: etarel and phirel of the first constituents, zeros where there are fewer, and the count."""
    counts = np.diff(jets.offsets)
    rank = np.arange(jets.offsets[-1]) - np.repeat(offsets_of(counts)[:-1], counts)
    chosen = rank < first
    table = np.zeros((len(jets), 2, first))
    for row, name in enumerate(("etarel", "phirel")):
        table[jets.jet_of[chosen], row, rank[chosen]] = jets.column(name)[chosen]
    return np.column_stack([table.reshape(len(jets), -1), counts])


if __name__ == "__main__":
    print(json.dumps(measure(Path(sys.argv[1])), indent=1))
