"""What gives probabilities for a batch of jets: a state by PyTorch, or a graph by ONNX Runtime.

scorer = open_scorer("tiny.safetensors")            # or "tiny.onnx"
scorer(batch)                                       # float32 [jets, classes]
"""

from __future__ import annotations

import json
import os
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from jetformer_data.streaming import Batch
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
            options = runtime.SessionOptions()
            options.log_severity_level = 3  # errors: what it says of the machine is nothing to a user
            self._session = runtime.InferenceSession(os.fspath(path), options, ["CPUExecutionProvider"])
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


def _device(name: str) -> torch.device:
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ModelError(f"device {name!r}: cannot be used ({str(error).splitlines()[0]})") from error
    return device
