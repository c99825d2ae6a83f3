"""One trial: build the network of a point, train it, quantise it if it is to have few bits, and measure the objectives.

A trial lives in a folder. `request.json` says what is asked for:

    {"settings": {"blocks": 2, ...}, "data": ["jets.h5"], "features": ["pt", ...], "min_pt_gev": 2.0, "constituents": 8,
     "norm": "batch", "activation": "relu", "recipe": {"epochs": 25, ...}, "seed": 0, "objectives": ["accuracy", "flops"]}

`run` leaves `state.safetensors`, with few bits also `fixed.safetensors`, and in the end `result.json`. Begun again after it
was killed, it goes on after the last whole epoch.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from jetformer_data.errors import DataError
from jetformer_hpo.errors import SearchError
from jetformer_hpo.objectives import Trained, installed, measure
from jetformer_model import training
from jetformer_model.config import preset
from jetformer_model.distributed import Process, processes
from jetformer_model.errors import ModelError
from jetformer_model.optimisation import Recipe
from jetformer_model.state import load, save
from jetformer_model.streamed import training_data

REQUEST, RESULT, STATE, FIXED = "request.json", "result.json", "state.safetensors", "fixed.safetensors"
# What the axes of a space may set, and of which type it is. Sizes that are not set are those of the preset.
PRESET = "tiny"
SIZES: dict[str, type] = {
    "blocks": int,
    "embed_dim": int,
    "heads": int,
    "feedforward_ratio": int,
    "dropout": float,
    "norm": str,
    "activation": str,
}
TRAINING: dict[str, type] = {
    "epochs": int,
    "batch_size": int,
    "learning_rate": float,
    "weight_decay": float,
    "patience": int,
    "scheduler": str,
}
OTHERS: dict[str, type] = {"constituents": int, "attention": str, "bits": int}
SETTINGS = SIZES | OTHERS | TRAINING
ATTENTIONS = ("softmax", "linear")
UNQUANTISED = 32
# Now, once, in the process that trials are forked from
installed()


def check_settings(settings: Mapping[str, Any]) -> None:
    """Raise SearchError for a setting that no trial knows, or that has no value of its kind."""
    for name, value in settings.items():
        if name not in SETTINGS:
            raise SearchError(f"setting {name!r}: expected one of {', '.join(SETTINGS)}")
        kind = SETTINGS[name]
        accepted = (int, float) if kind is float else kind
        if isinstance(value, bool) or not isinstance(value, accepted):
            raise SearchError(f"setting {name!r}: expected a value of type {kind.__name__}, got {value!r}")
    attention = settings.get("attention", "softmax")
    if attention not in ATTENTIONS:
        raise SearchError(f"setting 'attention': expected one of {', '.join(ATTENTIONS)}, got {attention!r}")


@dataclass(frozen=True)
class Request:
    """What is asked for, as in the file."""

    settings: dict[str, Any]
    data: list[str]
    features: list[str]
    min_pt_gev: float
    recipe: dict[str, Any]
    seed: int
    objectives: list[str]
    constituents: int | None = None
    norm: str | None = None
    activation: str | None = None

    @classmethod
    def read(cls, path: Path) -> Request:
        """From a file; entries that are not known here are left out."""
        try:
            stored = json.loads(path.read_text())
            known = {field.name for field in dataclasses.fields(cls)}
            request = cls(**{name: value for name, value in stored.items() if name in known})
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise SearchError(f"{path}: not a request for a trial ({error})") from error
        check_settings(request.settings)
        return request

    @property
    def bits(self) -> int:
        """Of weights and activations."""
        return int(self.settings.get("bits", UNQUANTISED))

    @property
    def is_linear(self) -> bool:
        """Whether attention is Linformer's."""
        return self.settings.get("attention") == "linear"

    @property
    def sizes(self) -> dict[str, Any]:
        """Of the network, where they are not those of the preset."""
        common = {
            name: value for name in ("norm", "activation") if (value := getattr(self, name)) is not None
        }
        return common | {name: value for name, value in self.settings.items() if name in SIZES}

    def training_recipe(self) -> Recipe:
        """The common recipe with what the point sets."""
        own = {name: value for name, value in self.settings.items() if name in TRAINING}
        try:
            return Recipe(**(self.recipe | own | {"seed": self.seed}))
        except TypeError as error:
            raise SearchError(f"recipe: {error}") from error


def run(folder: Path) -> None:
    """Do what `request.json` in the folder asks for and write `result.json`.

    Raises SearchError, ModelError or DataError, with one sentence, for what is wrong with the point or its jets.
    """
    begin = time.monotonic()
    request = Request.read(folder / REQUEST)
    state = _trained(request, folder)
    if request.bits < UNQUANTISED:
        state = _quantised(request, folder)
    facts = {
        "settings": request.settings,
        "seed": request.seed,
        "state": state.name,
        "epochs": load(folder / STATE).provenance["epochs"],
    }
    trained_after = time.monotonic() - begin
    data = tuple(Path(path) for path in request.data)
    values = measure(request.objectives, Trained(state, data, facts | {"seconds": trained_after}))
    seconds = {"seconds": time.monotonic() - begin, "training_seconds": trained_after}
    write_json(folder / RESULT, {"values": values} | facts | seconds)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Under its name only when it is whole."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    os.replace(temporary, path)


def _trained(request: Request, folder: Path) -> Path:
    """The state after training, that of an earlier attempt if there is one."""
    path, asked = folder / STATE, dataclasses.asdict(request)
    del asked["objectives"]  # the same network, whatever it is judged by
    if path.exists() and load(path).provenance.get("request") == asked:
        return path
    with processes() as process:  # on a GPU where there is one
        result = _train(request, folder, process)
    provenance = {
        "program": "jetformer-hpo",
        "request": asked,
        "recipe": dataclasses.asdict(request.training_recipe()),
        "epochs": len(result.history),
        "torch": torch.__version__,
        "device": process.device.type,
    }
    save(path, dataclasses.replace(result.state, provenance=provenance))
    _checkpoint(folder).unlink(missing_ok=True)
    return path


def _train(request: Request, folder: Path, process: Process) -> training.TrainingResult:
    shape = preset(
        PRESET,
        features=len(request.features),
        classes=1,
        constituents=request.settings.get("constituents", request.constituents),
        **request.sizes,
    )
    data = training_data(
        [Path(path) for path in request.data],
        constituents=shape.constituents,
        features=tuple(request.features),
        min_pt_gev=request.min_pt_gev,
        ragged=not request.is_linear,
    )
    run, recipe = training.Run(_checkpoint(folder), process=process), request.training_recipe()
    if request.is_linear:
        sizes = {"preset": PRESET} | request.sizes
        return training.train(data, "jetformer-linformer", sizes=sizes, recipe=recipe, run=run)
    architecture = dataclasses.replace(shape, classes=len(data.class_names))
    return training.train(data, architecture, recipe=recipe, run=run)


def _checkpoint(folder: Path) -> Path:
    return folder / f"{STATE}.partial"


def _quantised(request: Request, folder: Path) -> Path:
    """The state in fixed point, by jetformer-compress in a process of its own."""
    if importlib.util.find_spec("jetformer_compress") is None:
        raise SearchError(
            f"setting 'bits': {request.bits} bits need jetformer-compress, which is not installed; "
            "install it with: pip install jetformer-compress"
        )
    if len(request.data) > 1:
        raise SearchError("setting 'bits': quantised training takes one file of jets; merge them first")
    command = [
        *(sys.executable, "-m", "jetformer_compress", "quantize", str(folder / STATE), *request.data),
        *("--out", str(folder / FIXED), "--seed", str(request.seed)),
        *("--weight-bits", str(request.bits), "--activation-bits", str(request.bits)),
        *("--epochs", str(request.training_recipe().epochs)),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    print(done.stdout, done.stderr, sep="", end="")
    if done.returncode:
        reason = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise SearchError(f"quantising to {request.bits} bits failed: {reason[-1]}")
    return folder / FIXED


def main(arguments: list[str]) -> int:
    """`python -m jetformer_hpo.trial FOLDER`."""
    try:
        run(Path(arguments[0]))
    except (SearchError, ModelError, DataError) as error:
        print(f"jetformer-hpo: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
