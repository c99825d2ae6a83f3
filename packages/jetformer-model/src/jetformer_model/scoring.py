"""Probabilities of the classes for the jets of any number of files, batch by batch, in the memory of a few batches.

    scorer = open_scorer("tiny.safetensors")            # or a graph, "tiny.onnx", which ONNX Runtime works on
    for scores in Scoring("jets/*.h5", scorer):
        scores.probabilities, scores.file_index, scores.jet_index

Jets come in the order of the files, so that scores line up with them. Files of the array schema are read at the speed of
memory; those of other layouts that jetformer-data knows (ROOT, Parquet, ...) are converted on the way.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jetformer_data.features import FEATURE_SETS, Feature, FeatureSet, to_jets
from jetformer_data.filesets import Paths, find_files
from jetformer_data.jets import Normalisation, offsets_of
from jetformer_data.scaling import normalise_rows
from jetformer_data.sources import open_source
from jetformer_data.streaming import Batch, Stream, StreamOptions
from jetformer_model.dataset import file_sha256
from jetformer_model.errors import ModelError
from jetformer_model.inputs import Inputs
from jetformer_model.scorers import Probabilities, Scorer

BATCH = 1024


@dataclass(frozen=True, eq=False)
class Scores:
    """Scores of some jets.

    probabilities   float32 `[jets, classes]`
    labels          int64 `[jets]`, or None where they are not known
    file_index      int32 `[jets]`, into `Scoring.files`
    jet_index       int64 `[jets]`, place of each jet in its file
    """

    probabilities: Probabilities
    labels: NDArray[np.int64] | None
    file_index: NDArray[np.int32]
    jet_index: NDArray[np.int64]


class Scoring:
    """Scores of the jets of some files; each loop over it is one pass, `len` is the number of batches.

    paths       files, globs, folders of `.h5` files
    split       of files of the array schema: train, validation, test or all
    labelled    False: the classes of the files may differ from the network's, and their labels are left out

    Raises ModelError or DataError where files do not fit the network, before anything is scored.
    """

    def __init__(
        self, paths: Paths, scorer: Scorer, split: str = "all", batch: int = BATCH, labelled: bool = True
    ) -> None:
        if batch < 1:
            raise ModelError(f"batch: expected at least 1, got {batch}")
        self.files, self.scorer, self.labelled = find_files(paths), scorer, labelled
        self._batch, self._jets, of_schema = batch, [], True
        for path in self.files:
            with open_source(path) as source:
                self._jets.append(len(source))
                of_schema &= source.format == "schema"
                self._require_classes(path, source.class_names)
        self._stream = Stream(self.files, self._options(split)) if of_schema else None
        if self._stream is None and split != "all":
            raise ModelError(
                f"split {split!r}: only files of the array schema have splits; convert them first"
            )
        if not len(self):
            raise ModelError(f"{', '.join(map(str, self.files))}: no jets in the {split} split")

    def __len__(self) -> int:
        if self._stream is not None:
            return len(self._stream)
        return sum(-(-jets // self._batch) for jets in self._jets)

    def __iter__(self) -> Iterator[Scores]:
        firsts = offsets_of(np.array(self._jets))
        for batch in self._stream if self._stream is not None else self._converted():
            file = np.searchsorted(firsts, batch.index, side="right") - 1
            labels = batch.labels.copy() if self.labelled else None
            yield Scores(self.scorer(batch), labels, file.astype(np.int32), batch.index - firsts[file])

    def _require_classes(self, path: Path, found: tuple[str, ...]) -> None:
        expected = self.scorer.class_names
        if self.labelled and found != expected:
            raise ModelError(
                f"{path}: its classes are {', '.join(found)}, the network's are {', '.join(expected)}"
            )

    @property
    def _normalisation(self) -> Normalisation | None:
        inputs = self.scorer.inputs
        return Normalisation(np.array(inputs.mean), np.array(inputs.std)) if self.scorer.normalised else None

    def _options(self, split: str) -> StreamOptions:
        return StreamOptions(
            batch=self._batch,
            features=self.scorer.inputs.features,
            max_constituents=self.scorer.constituents,
            min_pt=self.scorer.inputs.min_pt_gev,
            normalise=self._normalisation or False,
            split=split,
            shuffle=False,
        )

    def _converted(self) -> Iterator[Batch]:
        """Batches of files of which some are not of the array schema."""
        inputs, normalisation, first = self.scorer.inputs, self._normalisation, 0
        features = features_of(inputs)
        for path in self.files:
            with open_source(path) as source:
                for raw in source.chunks(self._batch):
                    jets, _ = to_jets(raw, features, self.scorer.constituents, inputs.min_pt_gev)
                    if normalisation is not None:
                        normalise_rows(jets.constituents, normalisation)
                    index = np.arange(first, first + len(jets))
                    of_jets = np.empty((len(jets), 0), np.float32)
                    yield Batch(jets.constituents, jets.offsets, jets.labels, index, None, of_jets)
                    first += len(jets)


def features_of(inputs: Inputs) -> FeatureSet:
    """The features that a network takes, as jetformer-data computes them from any file."""
    known = {feature.name: feature for features in FEATURE_SETS.values() for feature in features.features}
    chosen = (
        known.get(name, Feature(name, unit)) for name, unit in zip(inputs.features, inputs.units, strict=True)
    )
    return FeatureSet("of the network", tuple(chosen), "its state")


def describe(scoring: Scoring, model: str | os.PathLike[str], split: str) -> dict[str, Any]:
    """What a file of scores says of itself, for JSON."""
    return {
        "model": Path(model).name,
        "model_sha256": file_sha256(model),
        "runtime": scoring.scorer.runtime,
        "class_names": list(scoring.scorer.class_names),
        "min_pt_gev": scoring.scorer.inputs.min_pt_gev,
        "files": [str(path) for path in scoring.files],
        "split": split,
    }
