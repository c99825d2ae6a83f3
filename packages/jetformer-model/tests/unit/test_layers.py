"""The table of layers adds up to the totals, and says the shapes that a small network can be checked by hand for."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from jetformer_model.commands.summary import summarise
from jetformer_model.layers import layers
from jetformer_model.state import State, save
from jetformer_model.taggers import TAGGERS, build, flops, parameters
from jetformer_model.taggers.contract import EXAMPLE_INPUTS
from jetformer_model.testing import example_fixed_point_state, example_state


@pytest.mark.parametrize("name", TAGGERS)
def test_layers_add_up(name: str) -> None:
    network = build(name, EXAMPLE_INPUTS, constituents=7, classes=3).train()
    table = layers(network)
    assert sum(layer.flops for layer in table) == flops(network)
    assert sum(layer.parameters for layer in table) == parameters(network)
    assert min(layer.flops for layer in table) >= 0
    assert network.training
    assert not any(module._forward_hooks for module in network.modules())


def test_shapes_and_counts_by_hand() -> None:
    table = {
        layer.name: layer for layer in layers(example_state().network)
    }  # 5 x 3, d 6, a 6 and 4, m 12 and 7
    assert dataclasses.astuple(table["embedding"]) == ("embedding", "Linear", (5, 6), 24, 90)
    assert dataclasses.astuple(table["blocks.1.attention.q"])[2:] == ((6, 4), 24, 144)
    assert dataclasses.astuple(table["blocks.1.attention"])[2:] == ((6, 6), 0, 2 * 6 * 6 * 4)
    assert dataclasses.astuple(table["blocks.1.feedforward.expand_norm"])[2:] == ((6, 7), 14, 2 * 6 * 7)
    assert dataclasses.astuple(table["head.linear"])[2:] == ((5,), 35, 30)


def test_summary_holds_what_the_state_holds() -> None:
    state = dataclasses.replace(example_state(), metrics={"auc": 0.9}, provenance={"seed": 3})
    found = summarise(state)
    assert (found["parameters"], found["flops"]) == (parameters(state.network), flops(state.network))
    assert found["inputs"]["features"] == ("pt", "etarel", "phirel")
    assert (found["metrics"], found["provenance"]) == ({"auc": 0.9}, {"seed": 3})


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "jetformer_model", "summary", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_summary_as_a_user_sees_it(tmp_path: Path) -> None:
    torch.manual_seed(1)
    network = build("interaction-network", EXAMPLE_INPUTS, constituents=7, classes=3)
    save(
        tmp_path / "s.safetensors", State(network, EXAMPLE_INPUTS, ("a", "[b]", "c"), provenance={"seed": 3})
    )
    shown = run(tmp_path / "s.safetensors")
    assert (shown.returncode, shown.stderr) == (0, "")
    for words in (
        "interaction-network",
        f"{flops(network):,} FLOPs",
        "edges.layers.0",
        "phirel",
        "[b]",
        '"seed": 3',
    ):
        assert words in shown.stdout, words
    found = json.loads(run(tmp_path / "s.safetensors", "--json").stdout)
    assert sum(layer["flops"] for layer in found["layers"]) == found["flops"] == flops(network)
    bad = run(tmp_path / "absent.safetensors")
    assert (bad.returncode, bad.stderr.count("\n")) == (1, 1)


def test_a_fixed_point_state_has_a_plain_summary() -> None:
    """Its parameters and FLOPs are those of the float network that it was quantised from."""
    state = example_fixed_point_state()
    found = summarise(state)
    assert (found["tagger"], found["kind"], found["layers"]) == ("deep-sets", "fixed_point", [])
    assert found["flops"] == flops(build("deep-sets", state.inputs, constituents=5, classes=5))
