"""A circuit that differs says where: the layer, by the interpreter's values or by registers in Icarus Verilog."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jetformer_fpga import divergence, faults, fusion, network, project, tools, tracer, vectors, verification


@pytest.fixture
def icarus() -> None:
    if tools.icarus() is None:
        pytest.skip("Icarus Verilog (iverilog, vvp) is not on PATH")


class Wrong:
    """A project whose program has a planted fault."""

    def __init__(self, firmware: project.Project, fault: str) -> None:
        self.state, self.state_path = firmware.state, firmware.state_path
        self.wrong = faults.wrong_network(network.build(firmware.state), fault)

    def program(self) -> Any:
        return tracer.trace(fusion.fuse(self.wrong, 8))


@pytest.mark.parametrize(
    ("fault", "layer"),
    (
        ("a mask left out", "blocks.0.attention.greatest"),
        ("swapped heads", "blocks.0.attention.weighted"),
        ("a residual connection left out", "blocks.0.feedforward.input"),
    ),
)
def test_a_wrong_network_is_located(fault: str, layer: str, firmware: project.Project, jets: Path) -> None:
    asked = vectors.corners(firmware.state) + vectors.of_file(firmware.state, jets, "all", 60)[0]
    found = divergence.in_interpreter(Wrong(firmware, fault), asked)  # type: ignore[arg-type]
    assert found == f"it parts from the reference in layer '{layer}'"


@pytest.mark.usefixtures("simulator", "icarus")
@pytest.mark.parametrize(
    ("fault", "words"),
    (
        ("an input read twice", r"'features' \(register s0_v"),
        ("a pipeline register left out", r"layer '.*' \(register s2_v"),
        ("valid_out a cycle early", "in the top level"),
    ),
)
def test_wrong_verilog_is_located(
    fault: str,
    words: str,
    firmware: project.Project,
    jets: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(verification, "_pytorch", lambda *_: (None, np.zeros(0, np.int64), "not asked"))
    shutil.copytree(firmware.folder, tmp_path / "fw", ignore=shutil.ignore_patterns("simulation"))
    faults.break_verilog(tmp_path / "fw" / "verilog", fault)
    result = verification.verify(tmp_path / "fw", jets, split="all", jets=100)
    sound, wrong = result.legs
    assert (sound.first_layer, wrong.mismatches > 0) == ("", True)
    assert re.search(words, wrong.first_layer)


@pytest.mark.usefixtures("simulator")
def test_without_icarus_the_layer_stays_open(
    firmware: project.Project, jets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tools, "icarus", lambda: None)
    asked = vectors.of_file(firmware.state, jets, "all", 3)[0]
    assert divergence.in_verilog(firmware, asked) == "with Icarus Verilog on PATH the layer would be told"
