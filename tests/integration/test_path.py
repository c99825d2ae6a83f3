"""From collisions to verified firmware through all five packages, small: a few hundred jets and a network of one block."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from jetformer_compress import Pruning, Widths, prune, quantize
from jetformer_data import schema
from jetformer_model import Architecture, Recipe, State, load, save, tagging_data, train
from jetformer_model.flops import flops

JETS = 600
SMALL = Architecture.uniform(blocks=1, embed_dim=4, heads=2, constituents=3, features=3, classes=5)
RECIPE = Recipe(epochs=4, batch_size=32, learning_rate=5e-3)


@dataclass(frozen=True)
class Walk:
    """The files of one walk and the states on its way."""

    folder: Path
    trained: State
    pruned: State
    fixed_point: State

    @property
    def jets(self) -> Path:
        return self.folder / "jets.h5"

    @property
    def firmware(self) -> Path:
        return self.folder / "firmware"


def run(*words: object) -> subprocess.CompletedProcess[str]:
    module, *arguments = (str(word) for word in words)
    command = [sys.executable, "-m", module.replace("-", "_"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def succeed(*words: object) -> str:
    done = run(*words)
    assert done.returncode == 0, done.stderr
    return done.stdout


def result_of(*words: object) -> dict[str, Any]:
    result: dict[str, Any] = json.loads(succeed(*words, "--json"))
    return result


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Walk:
    folder = tmp_path_factory.mktemp("walk")
    jets = folder / "jets.h5"
    succeed(
        "jetformer-data", "generate", "--style", "hls4ml", "--jets", JETS, "--seed", 5, "--workers", 2, jets
    )
    data = tagging_data(jets, constituents=SMALL.constituents)
    trained = train(data, SMALL, recipe=RECIPE).state
    pruned = prune(trained, data, Pruning(steps=2), replace(RECIPE, epochs=2)).state
    fixed_point = quantize(pruned, data, Widths(weights=4, activations=6), replace(RECIPE, epochs=2)).state
    for name, state in {"float": trained, "pruned": pruned, "fixed_point": fixed_point}.items():
        save(folder / f"{name}.safetensors", state)
    succeed("jetformer-fpga", "synth", folder / "fixed_point.safetensors", "--out", folder / "firmware")
    succeed("jetformer-fpga", "verify", folder / "firmware", "--data", jets)
    return Walk(folder, trained, pruned, fixed_point)


def test_jets_follow_the_schema_in_every_class(walk: Walk) -> None:
    schema.check(walk.jets)
    assert np.bincount(schema.read(walk.jets).labels).tolist() == [JETS // 5] * 5


def test_pruning_halves_what_it_may(walk: Walk) -> None:
    assert (walk.pruned.architecture.attention_dims, walk.pruned.architecture.feedforward_dims) == (
        (2,),
        (4,),
    )
    assert flops(walk.pruned.architecture) < flops(walk.trained.architecture)


def test_firmware_is_the_network_on_every_test_jet(walk: Walk) -> None:
    found = json.loads((walk.firmware / "verification.json").read_text())
    assert found["mismatches"] == 0
    assert {leg["name"] for leg in found["legs"]} == {"PyTorch", "interpreter", "Verilog"}
    assert all(leg["compared"] == found["verified_jets"] + found["corner_vectors"] for leg in found["legs"])
    assert found["initiation_interval"] == 1
    assert found["latency_cycles"] == found["latency_by_answers"]


def test_answers_of_the_firmware_are_those_that_evaluation_scores(walk: Walk) -> None:
    """Through jetformer-model's own reading of the data, not through inputs that the firmware's side prepared."""
    logits = walk.folder / "logits.safetensors"
    result_of(
        "jetformer-model", "evaluate", walk.folder / "fixed_point.safetensors", walk.jets, "--logits", logits
    )
    network, firmware = load_file(logits), load_file(walk.firmware / "answers.safetensors")
    np.testing.assert_array_equal(firmware["jet_index"], network["jet_index"])
    np.testing.assert_array_equal(firmware["logits"], network["logits"])


def test_resources_are_counted_and_say_by_what(walk: Walk) -> None:
    resources = json.loads((walk.firmware / "project.json").read_text())["resources"]
    assert resources["lut"] > 100
    assert resources["ff"] > 100
    assert "osys" in resources["resource_source"]


def test_search_uses_the_same_jets_and_counts(walk: Walk) -> None:
    study = walk.folder / "search"
    command = (
        "jetformer-hpo",
        "search",
        walk.jets,
        "--trials",
        2,
        "--epochs",
        1,
        "--constituents",
        3,
        "--out",
        study,
    )
    succeed(*command)
    front = json.loads(succeed("jetformer-hpo", "front", study / "study.sqlite3", "--json"))
    assert front


def test_a_float_network_is_no_firmware(walk: Walk) -> None:
    refused = run("jetformer-fpga", "synth", walk.folder / "float.safetensors", "--out", walk.folder / "no")
    assert refused.returncode == 1
    assert "jetformer-compress quantize" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not (walk.folder / "no").exists()


def test_a_layer_norm_network_is_told_how_to_retrain(walk: Walk) -> None:
    state = walk.folder / "layer.safetensors"
    succeed("jetformer-model", "train", walk.jets, "--norm", "layer", "--epochs", 1, "--out", state)
    for command in (
        ("jetformer-fpga", "synth", state, "--out", walk.folder / "no"),
        ("jetformer-compress", "quantize", state, walk.jets, "--out", walk.folder / "no.safetensors"),
    ):
        refused = run(*command)
        assert refused.returncode == 1
        assert "--norm batch" in refused.stderr
        assert refused.stderr.count("\n") == 1


def test_states_survive_the_file(walk: Walk) -> None:
    assert load(walk.folder / "fixed_point.safetensors").architecture == walk.fixed_point.architecture
