"""What the steps of the demo left behind, read from their files; nothing here is computed twice or made up."""

from __future__ import annotations

import csv
import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

from jetformer_data.distributions import Distributions, distributions
from jetformer_data.schema import Jets, Reader, read
from jetformer_data.splitting import file_mask
from jetformer_model.flops import flops, parameters
from jetformer_model.metrics import Roc, roc_curves, summarise
from jetformer_model.state import load
from steps import Done

PACKAGES = ("jetformer-data", "jetformer-model", "jetformer-compress", "jetformer-fpga")
TOOLS = ("torch", "torch-pruning", "alkaid", "pythia8mc", "fastjet", "numpy")
VERIFICATION_KEYS = (
    "verified_jets",
    "mismatches",
    "latency_cycles",
    "initiation_interval",
    "assumed_clock_mhz",
    "latency_ns",
)
RESOURCE_NAMES = ("lut", "ff", "dsp", "bram")


@dataclass(frozen=True)
class Results:
    """One finished demo in `folder`; `states` maps float, pruned and fixed_point to their files."""

    folder: Path
    states: Mapping[str, str]
    steps: tuple[Done, ...]
    seed: int

    @cached_property
    def jets(self) -> Jets:
        """All generated jets."""
        return read(self.folder / "jets.h5")

    @cached_property
    def distributions(self) -> Distributions:
        """Histograms and images of the generated jets."""
        return distributions(self.folder / "jets.h5")

    @cached_property
    def split_sizes(self) -> dict[str, int]:
        """Jets in the training, validation and test split."""
        with Reader(self.folder / "jets.h5") as reader:
            return {name: int(file_mask(reader, name).sum()) for name in ("train", "validation", "test")}

    @cached_property
    def verification(self) -> dict[str, Any]:
        """What `jetformer-fpga verify` found."""
        return self._json("firmware/verification.json")

    @cached_property
    def resources(self) -> dict[str, Any]:
        """What `jetformer-fpga synth` counted."""
        found: dict[str, Any] = self._json("firmware/project.json")["resources"]
        return found

    @cached_property
    def networks(self) -> dict[str, dict[str, Any]]:
        """Test metrics: of the states as `jetformer-model evaluate` printed them, and of the firmware's own answers."""
        measured = {name: self._json(f"{name}.json") for name in self.states}
        return measured | {"firmware": summarise(*self._firmware_answers, self.jets.class_names)}

    @cached_property
    def curves(self) -> dict[str, Roc]:
        """ROC curve of each class against the rest, from the firmware's own answers."""
        return roc_curves(*self._firmware_answers, self.jets.class_names)

    @cached_property
    def histories(self) -> dict[str, list[dict[str, float]]]:
        """One line an epoch of each training."""
        return {name: self._history(state) for name, state in self.states.items()}

    @cached_property
    def flops(self) -> dict[str, int]:
        """FLOPs of each network; 1 multiply-accumulate = 1 FLOP."""
        return {name: flops(load(self.folder / state).architecture) for name, state in self.states.items()}

    @cached_property
    def parameters(self) -> int:
        """Of the float network, those that it uses."""
        return parameters(load(self.folder / self.states["float"]).architecture)

    @cached_property
    def versions(self) -> dict[str, str]:
        """Of everything that a figure depends on."""
        found = {"python": platform.python_version()} | {name: version(name) for name in PACKAGES + TOOLS}
        return found | self.verification["versions"]

    @property
    def seconds(self) -> float:
        """What all steps took when they ran."""
        return round(sum(step.seconds for step in self.steps), 1)

    def summary(self) -> dict[str, Any]:
        """The figures of the demo in one flat JSON object."""
        networks, verification, resources = self.networks, self.verification, self.resources
        return {
            "jets_train": self.split_sizes["train"],
            "jets_validation": self.split_sizes["validation"],
            "jets_test": self.split_sizes["test"],
            **{f"accuracy_{name}": network["accuracy"] for name, network in networks.items()},
            "accuracy_error": networks["float"]["accuracy_error"],
            "flops": self.flops["float"],
            "flops_pruned": self.flops["pruned"],
            **{key: verification[key] for key in VERIFICATION_KEYS},
            **{key: resources[key] for key in (*RESOURCE_NAMES, "resource_source")},
            "seconds": self.seconds,
            "seconds_by_step": {step.title: step.seconds for step in self.steps},
            "seed": self.seed,
            "data": "simulated, HLS4ML-like",
            "versions": self.versions,
        }

    def sentence(self) -> str:
        """The demo in one sentence."""
        found, accuracy = self.verification, 100 * self.networks["firmware"]["accuracy"]
        return (
            f"Firmware for five classes of jets: {accuracy:.1f} % right, {found['latency_cycles']} cycles "
            f"({found['latency_ns']:.0f} ns at an assumed {found['assumed_clock_mhz']:g} MHz), a new jet every "
            f"{found['initiation_interval']} cycle, {found['mismatches']} mismatches in {found['verified_jets']:,} jets; "
            f"all of it in {self.seconds:.0f} s."
        )

    @property
    def _firmware_answers(self) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        answers = load_file(self.folder / "firmware" / "answers.safetensors")
        return answers["logits"], self.jets.labels[answers["jet_index"]]

    def _history(self, state: str) -> list[dict[str, float]]:
        with (self.folder / state).with_suffix(".csv").open(newline="") as file:
            return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]

    def _json(self, name: str) -> dict[str, Any]:
        content: dict[str, Any] = json.loads((self.folder / name).read_text())
        return content
