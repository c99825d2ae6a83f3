"""What a search of networks asks of the circuit."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path
from types import SimpleNamespace

import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from jetformer_fpga import objectives, project, tools
from jetformer_fpga.errors import StateError
from jetformer_fpga.testing import random_state

SIZES = {"constituents": 3, "embed_dim": 4, "attention_dims": (2,), "feedforward_dims": (3,)}


def judged(path: Path) -> SimpleNamespace:
    return SimpleNamespace(state=path)


def test_they_are_those_of_a_project_without_yosys(
    small_state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tools, "yosys", lambda: None)
    description = project.synth(small_state, tmp_path / "firmware").description
    assert objectives.latency_cycles(judged(small_state)) == description["latency_cycles"]
    assert objectives.luts(judged(small_state)) == description["resources"]["lut"]


def test_fewer_bits_take_fewer_luts_also_at_the_same_place(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    found = [
        objectives.luts(judged(random_state(path, seed=2, weight_bits=bits, **SIZES))) for bits in (3, 6)
    ]
    assert 0 < found[0] < found[1]


def test_a_float_state_is_one_sentence(small_state: Path, tmp_path: Path) -> None:
    path = tmp_path / "float.safetensors"
    with safe_open(str(small_state), framework="np") as file:
        header = json.loads(file.metadata()["jetformer"])
    header["kind"], header["architecture"]["norm"] = "float", "batch"
    save_file(load_file(small_state), path, {"jetformer": json.dumps(header)})
    for objective in (objectives.luts, objectives.latency_cycles):
        with pytest.raises(StateError, match="float state; quantise it first") as caught:
            objective(judged(path))
        assert "\n" not in str(caught.value)


def test_they_are_offered_to_a_search() -> None:
    offered = {entry.name: entry for entry in entry_points(group="jetformer_hpo.objectives")}
    for name in ("luts", "latency_cycles"):
        assert offered[name].load() is getattr(objectives, name)
        assert getattr(objectives, name).direction == "minimize"


def test_they_need_neither_torch_nor_the_search() -> None:
    code = "import sys, jetformer_fpga.objectives; print({'torch', 'jetformer_hpo', 'optuna'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
