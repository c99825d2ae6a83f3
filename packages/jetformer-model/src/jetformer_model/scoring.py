"""Probabilities of the classes for the jets of any number of files, batch by batch, in the memory of a few batches.

    scorer = open_scorer("tiny.safetensors")            # or a graph, "tiny.onnx", which ONNX Runtime works on
    for scores in Scoring("jets/*.h5", scorer):
        scores.probabilities, scores.file_index, scores.jet_index

Jets come in the order of the files, so that scores line up with them. Files of the array schema are read at the speed of
memory; those of other layouts that jetformer-data knows (ROOT, Parquet, ...) are converted on the way.
"""

from __future__ import annotations

import json
import os
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from jetformer_data.features import FEATURE_SETS, Feature, FeatureSet, to_jets
from jetformer_data.filesets import Paths, find_files
from jetformer_data.jets import Normalisation, offsets_of
from jetformer_data.scaling import normalise_rows
from jetformer_data.sources import open_source
from jetformer_data.streaming import Batch, Stream, StreamOptions
from jetformer_model.dataset import file_sha256
from jetformer_model.errors import ModelError
from jetformer_model.extras import require
from jetformer_model.inputs import Inputs
from jetformer_model.network import JetFormer
from jetformer_model.onnx_export import FORMAT, FORMAT_VERSION, METADATA_KEY, export
from jetformer_model.state import State, load
from jetformer_model.tokens import Ragged

Probabilities = NDArray[np.float32]
Runtime = Literal["torch", "onnx"]
RUNTIMES: tuple[Runtime, ...] = ("torch", "onnx")
BATCH = 1024


class Scorer(ABC):
    """A network that gives probabilities float32 `[jets, classes]` for a batch of ragged jets.

    normalised: whether it takes normalised features; else physical ones
    """

    inputs: Inputs
    constituents: int
    class_names: tuple[str, ...]
    normalised: bool
    runtime: ClassVar[Runtime]

    @abstractmethod
    def __call__(self, batch: Batch) -> Probabilities: ...


class TorchScorer(Scorer):
    """The network of a state, by PyTorch on any device; on a GPU, JetFormer does no work on padding."""

    runtime = "torch"
    normalised = True

    def __init__(self, state: State, device: str = "auto") -> None:
        self.device = _device(device)
        self.network = state.network.to(self.device)
        self.inputs, self.constituents, self.class_names = state.inputs, state.constituents, state.class_names

    @torch.inference_mode()
    def __call__(self, batch: Batch) -> Probabilities:
        try:
            probabilities: Probabilities = self._logits(batch).float().softmax(-1).cpu().numpy()
        except torch.cuda.OutOfMemoryError:
            advice = f"try a batch of {len(batch) // 2}" if len(batch) > 1 else "even one jet is too much"
            raise ModelError(
                f"the GPU's memory is too small for {len(batch)} jets at once; {advice}"
            ) from None
        return probabilities

    def _logits(self, batch: Batch) -> torch.Tensor:
        logits: torch.Tensor
        if isinstance(self.network, JetFormer) and self.device.type == "cuda":
            offsets = torch.from_numpy(batch.offsets.astype(np.int32)).to(self.device)
            x = torch.from_numpy(batch.constituents).to(self.device)
            logits = self.network(x, Ragged(offsets, self.constituents))
        else:
            padded = batch.dense(self.constituents)
            logits = self.network(*(torch.from_numpy(array).to(self.device) for array in padded))
        return logits


class OnnxScorer(Scorer):
    """A graph made by `onnx_export`, by ONNX Runtime on the CPU."""

    runtime = "onnx"
    _FINISH: ClassVar[dict[str, Callable[[NDArray[Any]], NDArray[Any]]]] = {
        "probabilities": lambda found: found,
        "log-softmax": np.exp,
        "logits": lambda found: torch.from_numpy(found).softmax(-1).numpy(),
    }

    def __init__(self, path: str | os.PathLike[str]) -> None:
        if not Path(path).is_file():
            raise ModelError(f"{path}: no such file")
        runtime = require("onnxruntime", "onnx")
        try:
            self._session = runtime.InferenceSession(os.fspath(path), providers=["CPUExecutionProvider"])
        except Exception as error:  # the library has a dozen kinds, with no base of their own
            reason = str(error).splitlines()[0]
            raise ModelError(f"{path}: is no graph that ONNX Runtime can read ({reason})") from error
        self._read(
            path, json.loads(self._session.get_modelmeta().custom_metadata_map.get(METADATA_KEY, "{}"))
        )

    def _read(self, path: str | os.PathLike[str], metadata: dict[str, Any]) -> None:
        if metadata.get("format") != FORMAT:
            raise ModelError(
                f"{path}: was not made by `jetformer-model export`, so that its inputs are not known"
            )
        if (found := metadata["version"]).split(".")[0] != FORMAT_VERSION.split(".")[0]:
            raise ModelError(f"{path}: graph version {found} is not supported (expected {FORMAT_VERSION})")
        stored = metadata["inputs"]
        lists = {key: tuple(stored[key]) for key in ("features", "units", "mean", "std")}
        self.inputs = Inputs(**lists, min_pt_gev=stored["min_pt_gev"])
        self.constituents, self.class_names = metadata["constituents"], tuple(metadata["class_names"])
        self.normalised = not metadata["normalised_inside"]
        self._finish = self._FINISH[metadata["output"]]

    def __call__(self, batch: Batch) -> Probabilities:
        x, mask = batch.dense(self.constituents)
        return self._finish(self._session.run(None, {"constituents": x, "mask": mask})[0])


def open_scorer(
    model: str | os.PathLike[str], runtime: Runtime | None = None, device: str = "auto"
) -> Scorer:
    """What scores with a state or a graph (.onnx).

    runtime: "onnx" on a state exports it first; if not given, it is that of the file
    device: where PyTorch works; "auto" takes a GPU where there is one
    """
    is_graph = Path(model).suffix == ".onnx"
    runtime = runtime or ("onnx" if is_graph else "torch")
    if runtime not in RUNTIMES:
        raise ModelError(f"runtime {runtime!r}: expected one of {', '.join(RUNTIMES)}")
    if runtime == "torch":
        if is_graph:
            raise ModelError(f"{model}: PyTorch cannot run a graph; give the state it was exported from")
        return TorchScorer(load(model), device)
    if device not in ("auto", "cpu"):
        raise ModelError(f"device {device!r}: ONNX Runtime is used on the CPU alone")
    if is_graph:
        return OnnxScorer(model)
    with tempfile.TemporaryDirectory() as folder:
        export(model, graph := Path(folder) / "network.onnx")
        return OnnxScorer(graph)


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
        "files": [str(path) for path in scoring.files],
        "split": split,
    }


def _device(name: str) -> torch.device:
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ModelError(f"device {name!r}: cannot be used ({str(error).splitlines()[0]})") from error
    return device
