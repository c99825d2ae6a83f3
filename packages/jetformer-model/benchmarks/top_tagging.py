"""Real top jets against QCD jets, from 800 of them: JetFormer against boosted trees on jet mass and multiplicity.

JETFORMER_REAL_DATA=FOLDER python ci/bench.py model top_tagging (15 minutes on one core)

1,000 jets of the top tagging reference (doi:10.5281/zenodo.2603256) in 5 folds, each trained on 800 and tested on 200, and
so again with the jets dealt out anew. Both sides are the mean over `MEMBERS` seeds. The settings of the trees are chosen in
every fold by cross-validation of its 800 jets. Those of JetFormer are the same in all folds; they were chosen on simulated
jets alone (Pythia, same window of pt, 800 to train on and 3,600 to test with), never on these. Errors are half the interval
of 68 % from resampled test jets, the same for both sides.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from jetformer_data.features import FEATURE_SETS, Feature, FeatureSet, to_jets
from jetformer_data.jets import Jets, Normalisation
from jetformer_data.padding import padded
from jetformer_data.raw import RawJets
from jetformer_data.scaling import normalise
from jetformer_data.sources import open_source
from jetformer_model.augmentation import TurnedJets, planes
from jetformer_model.bootstrap import Estimate, estimate
from jetformer_model.config import Architecture
from jetformer_model.dataset import Dataset
from jetformer_model.inputs import Inputs
from jetformer_model.metrics import Ranking
from jetformer_model.network import JetFormer
from jetformer_model.optimisation import Recipe
from jetformer_model.training import fit, predict

Array = NDArray[np.float64]

SAMPLE = "top_tagging_real_1000.npz"
FOLDS, SEEDS, MEMBERS, RESAMPLES = 5, (1, 2, 3), 3, 500
CONSTITUENTS = 30
# No jet is spared for early stopping: the learning rate ends at nothing.
RECIPE = Recipe(epochs=30, batch_size=64, learning_rate=2e-3, weight_decay=0.05, patience=30, clip_norm=1.0)
ARCHITECTURE = {
    "blocks": 2,
    "embed_dim": 64,
    "heads": 4,
    "norm": "layer",
    "activation": "silu",
    "dropout": 0.1,
}
TREES = {"n_estimators": (50, 100, 200), "max_depth": (1, 2, 3), "learning_rate": (0.05, 0.1)}
FIXED = {"subsample": 0.5, "min_samples_leaf": 10}


# What JetFormer sees


def of_jet(raw: RawJets, name: str) -> Array:
    """A quantity of jets, repeated for each constituent."""
    return raw.column(name)[raw.jet_of]


def in_widths(name: str) -> Feature:
    """An angle over that at which a particle of this mass and pt decays: prongs stand at the same place in all jets."""
    angle = next(feature for feature in FEATURE_SETS["hls4ml-16"].features if feature.name == name)

    def formula(raw: RawJets) -> Array:
        return np.asarray(angle.values(raw) * of_jet(raw, "jet_pt") / of_jet(raw, "jet_mass"))

    return Feature(f"{name}_in_widths", "1", formula, low=-6, high=8)


FEATURES = FeatureSet(
    "mass-scaled",
    (
        *(in_widths(name) for name in ("etarot", "phirot", "etarel", "phirel", "deltaR")),
        Feature("deltaR", "1", FEATURE_SETS["p4-7"].features[-1].formula),
        Feature("logptrel", "1", lambda raw: np.log(raw.column("pt") / of_jet(raw, "jet_pt"))),
        Feature("logptm", "1", lambda raw: np.log(raw.column("pt") / of_jet(raw, "jet_mass"))),
        Feature("log_mass", "log GeV", lambda raw: np.log(of_jet(raw, "jet_mass"))),
        Feature("log_count", "1", lambda raw: np.log(np.diff(raw.offsets)[raw.jet_of])),
    ),
    "angles in units of mass over pt",
)
FREE = (("etarel_in_widths", "phirel_in_widths"),)
UPRIGHT = (("etarot_in_widths", "phirot_in_widths"),)


def read(folder: Path) -> Jets:
    """The real jets with these features; label 1 is the top."""
    with open_source(folder / SAMPLE) as source:
        return to_jets(source.read(), FEATURES)[0]


def inputs_of(jets: Jets) -> Inputs:
    """The features, normalised by their statistics over these jets."""
    x, mask = padded(jets, CONSTITUENTS, FEATURES.names)
    real = x[mask].astype(np.float64)
    mean, std = (tuple(float(value) for value in row) for row in (real.mean(0), real.std(0)))
    return Inputs(FEATURES.names, FEATURES.units, mean, std, 0.0)


def dataset(jets: Jets, inputs: Inputs) -> Dataset:
    x, mask = padded(jets, CONSTITUENTS, inputs.features)
    x = normalise(x, mask, Normalisation(np.array(inputs.mean), np.array(inputs.std)))
    return Dataset(*(torch.from_numpy(array) for array in (x, mask, jets.labels, np.arange(len(jets)))))


# The two sides: probability of a top, [test jets], after training on 800


def jetformer(training: Jets, test: Jets) -> Array:
    """Mean over the members, each trained on all jets, turned and mirrored anew in every epoch."""
    inputs = inputs_of(training)
    known, unknown = dataset(training, inputs), dataset(test, inputs)
    augmented = TurnedJets(known, planes(inputs, FREE, UPRIGHT))
    found = []
    for seed in range(MEMBERS):
        torch.manual_seed(seed)
        network = JetFormer(architecture())
        fit(network, augmented, known, dataclasses.replace(RECIPE, seed=seed))
        found.append(torch.from_numpy(predict(network, unknown)).softmax(1)[:, 1].numpy())
    return np.asarray(np.mean(found, axis=0))


def architecture() -> Architecture:
    return Architecture.uniform(
        features=len(FEATURES.names), classes=2, constituents=CONSTITUENTS, **ARCHITECTURE
    )


def boosted_trees(training: Jets, test: Jets) -> Array:
    """Mean over the members, with the settings of the least cross-validated loss."""
    from sklearn.ensemble import GradientBoostingClassifier
    from sklearn.model_selection import GridSearchCV, StratifiedKFold

    inner = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    search = GridSearchCV(
        GradientBoostingClassifier(**FIXED, random_state=0), TREES, cv=inner, scoring="neg_log_loss"
    )
    chosen = search.fit(mass_and_multiplicity(training), training.labels).best_params_
    found = []
    for seed in range(MEMBERS):
        trees = GradientBoostingClassifier(**FIXED, **chosen, random_state=seed)
        trees.fit(mass_and_multiplicity(training), training.labels)
        found.append(trees.predict_proba(mass_and_multiplicity(test))[:, 1])
    return np.asarray(np.mean(found, axis=0))


def mass_and_multiplicity(jets: Jets) -> Array:
    """[jets, 2]: mass in GeV, number of constituents."""
    return np.column_stack([jets.jet_column("jet_mass"), jets.multiplicity]).astype(np.float64)


# The comparison

Tagger = Callable[[Jets, Jets], Array]


def out_of_fold(tagger: Tagger, jets: Jets, seed: int) -> Array:
    """The probability of a top for each jet, from a training without it; `seed` deals the jets out to folds."""
    from sklearn.model_selection import StratifiedKFold

    probability = np.empty(len(jets))
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    for train, test in folds.split(jets.labels, jets.labels):
        probability[test] = tagger(jets.select(train), jets.select(test))
    right = ((probability > 0.5) == jets.labels).mean()
    print(f"  {tagger.__name__}, folds of seed {seed}: accuracy {right:.4f}", flush=True)
    return probability


def performance(jets: Jets, probabilities: Sequence[Array]) -> Callable[[Array], Array]:
    """(accuracy, AUC) of jets with given weights [jets], the means over all ways to deal them out."""
    tops = jets.labels == 1
    rankings = [Ranking(one, tops, ~tops) for one in probabilities]
    right = np.mean([(one > 0.5) == tops for one in probabilities], axis=0)

    def measure(weights: Array) -> Array:
        auc = np.mean([ranking.roc(weights).auc for ranking in rankings])
        return np.array([np.average(right, weights=weights), auc])

    return measure


def summary(found: Estimate) -> dict[str, float]:
    (accuracy, auc), (error, auc_error) = found.value, (found.high - found.low) / 2
    named = {"accuracy": accuracy, "error": error, "auc": auc, "auc_error": auc_error}
    return {key: round(float(value), 4) for key, value in named.items()}


def measure(real_folder: Path) -> dict[str, Any]:
    """Accuracy and AUC of both, and by how much JetFormer is better."""
    torch.set_num_threads(1)
    jets = read(real_folder)
    trees, ours = (
        performance(jets, [out_of_fold(tagger, jets, seed) for seed in SEEDS])
        for tagger in (boosted_trees, jetformer)
    )
    found = estimate(
        lambda w: {"jetformer": ours(w), "boosted_trees": trees(w), "difference": ours(w) - trees(w)},
        len(jets),
        RESAMPLES,
        SEEDS[0],
    )
    return {
        "top_tagging": {name: summary(one) for name, one in found.items()}
        | {
            "folds": FOLDS,
            "seeds": list(SEEDS),
            "members": MEMBERS,
            "parameters": sum(p.numel() for p in JetFormer(architecture()).parameters()),
            "recipe": dataclasses.asdict(RECIPE) | ARCHITECTURE | {"constituents": CONSTITUENTS},
            "features": list(FEATURES.names),
            "trees": TREES | FIXED,
        }
    }
