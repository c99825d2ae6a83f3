"""From a state to simulated Verilog, and planted faults that verification must see."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from jetformer_fpga import fusion, network, project, reference, state, tracer, vectors, verification
from jetformer_fpga.errors import FpgaError

pytestmark = pytest.mark.usefixtures("simulator")


@pytest.fixture(scope="module")
def answered(firmware: project.Project, jets: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The reference's logits of every jet, in the shape in which PyTorch's are handed over."""
    asked, positions = vectors.of_file(firmware.state, jets, "all", None)
    codes = reference.logits(firmware.state, asked.x, asked.mask)
    path = tmp_path_factory.mktemp("logits") / "logits.safetensors"
    save_file({"logits": firmware.state.formats["logits"].value(codes), "jet_index": positions}, str(path))
    return path


def test_the_circuit_is_the_network(firmware: project.Project, jets: Path, answered: Path) -> None:
    result = verification.verify(firmware.folder, jets, split="all", logits=answered)
    assert result.passed
    assert [leg.name for leg in result.legs] == ["PyTorch", "interpreter", "Verilog"]
    assert [leg.compared for leg in result.legs] == [300, 310, 310]
    assert result.latency_cycles == result.latency_by_answers == firmware.description["latency_cycles"]
    assert result.initiation_interval == 1
    stored = json.loads((firmware.folder / "verification.json").read_text())
    assert stored["mismatches"] == 0
    assert stored["verified_jets"] == 300


def test_wrong_answers_of_pytorch_are_seen(
    firmware: project.Project, jets: Path, answered: Path, tmp_path: Path
) -> None:
    from safetensors.numpy import load_file

    arrays = load_file(str(answered))
    arrays["logits"][7, 2] += 3.0
    save_file(arrays, str(tmp_path / "wrong.safetensors"))
    result = verification.verify(firmware.folder, jets, split="all", logits=tmp_path / "wrong.safetensors")
    assert not result.passed
    assert result.legs[0].mismatches == 1
    assert result.legs[0].first_mismatch.startswith("jet 7, class W")
    arrays["logits"][7, 2] += 0.001
    save_file(arrays, str(tmp_path / "off.safetensors"))
    with pytest.raises(FpgaError, match="grid"):
        verification.verify(firmware.folder, jets, split="all", logits=tmp_path / "off.safetensors")


def test_without_pytorch_the_result_says_so(
    firmware: project.Project, jets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from jetformer_fpga import tools

    tools.verilator()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    result = verification.verify(firmware.folder, jets, jets=5)
    assert result.passed
    assert result.pytorch.startswith("not compared")
    assert len(result.legs) == 2


def _edited(firmware: project.Project, folder: Path, file: str, pattern: str, by: str) -> None:
    shutil.copytree(firmware.folder, folder, ignore=shutil.ignore_patterns("simulation"))
    path = folder / "verilog" / file
    text = path.read_text()
    changed = re.sub(pattern, by, text, count=1)
    assert changed != text
    path.write_text(changed)


@pytest.mark.parametrize(
    ("file", "pattern", "by"),
    (
        pytest.param("jetformer_pipeline_tables.v", r"'h(\d+): out = (\d+)'h0+;", r"'h\1: out = \2'h1;", id="table"),
        pytest.param("jetformer.v", r"(constituent|features)\[5:0\]", "features[11:6]", id="wrong input"),
        pytest.param("jetformer.v", r"valid\[(\d+):0\], valid_in", r"valid[\1:0], 1'b1", id="valid stuck"),
    ),
)  # fmt: skip
def test_a_fault_in_the_verilog_is_seen(
    firmware: project.Project, jets: Path, answered: Path, tmp_path: Path, file: str, pattern: str, by: str
) -> None:
    _edited(firmware, tmp_path / "fault", file, pattern, by)
    result = verification.verify(tmp_path / "fault", jets, split="all", logits=answered)
    assert not result.passed
    assert result.changed_files == [f"verilog/{file}"]
    assert result.legs[1].mismatches == 0


def _circuit_of(other: network.Network, loaded: state.State, jets: Path) -> int:
    """Mismatches of a network's program against the reference of a state."""
    asked = vectors.of_file(loaded, jets, "all", None)[0] + vectors.corners(loaded)
    features = loaded.formats["features"].value(asked.x).reshape(len(asked), -1)
    real = tracer.interpret(tracer.trace(other), np.concatenate([features, asked.mask], axis=1))
    codes = np.ldexp(real, loaded.formats["logits"].f)
    return int((codes != reference.logits(loaded, asked.x, asked.mask)).any(axis=1).sum())


def test_swapped_heads_and_a_dropped_saturation_are_seen(
    small_state: Path, jets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = state.read(small_state)
    assert _circuit_of(fusion.fuse(network.build(loaded), 8), loaded, jets) == 0
    name = "blocks.0.attention.v.weight"
    swapped = replace(loaded.tensors[name], codes=loaded.tensors[name].codes[::-1])
    wrong = replace(loaded, tensors=loaded.tensors | {name: swapped})
    assert _circuit_of(network.build(wrong), loaded, jets) > 0

    def wraps(wire: tracer.FVariable, k: int, i: int, f: int) -> tracer.FVariable:
        return wire.quantize(int(k), int(i), int(f), "WRAP", "RND")

    monkeypatch.setattr(tracer, "_quantised", wraps)
    assert _circuit_of(network.build(loaded), loaded, jets) > 0
