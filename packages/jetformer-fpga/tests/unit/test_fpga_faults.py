"""Every planted fault is caught: those in the network by the interpreter's answers, those in the Verilog in simulation."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from jetformer_fpga import (
    faults,
    fusion,
    network,
    project,
    reference,
    state,
    streaming,
    tracer,
    vectors,
    verification,
)
from jetformer_fpga.errors import FpgaError
from jetformer_fpga.simulation import RESET, VALID
from jetformer_fpga.testing import random_state


@pytest.fixture(scope="module")
def two_blocks(tmp_path_factory: pytest.TempPathFactory) -> state.State:
    sizes = {"constituents": 3, "embed_dim": 4, "attention_dims": (4, 2), "feedforward_dims": (3, 3)}
    return state.read(random_state(tmp_path_factory.mktemp("state") / "two.safetensors", seed=4, **sizes))


def mismatches(wrong: network.Network, loaded: state.State, jets: Path) -> int:
    asked = vectors.of_file(loaded, jets, "all", None)[0] + vectors.corners(loaded)
    features = loaded.formats["features"].value(asked.x).reshape(len(asked), -1)
    real = tracer.interpret(
        tracer.trace(fusion.fuse(wrong, 8)), np.concatenate([features, asked.mask], axis=1)
    )
    codes = np.ldexp(real, loaded.formats["logits"].f)
    return int((codes != reference.logits(loaded, asked.x, asked.mask)).any(axis=1).sum())


def test_there_are_more_than_ten_kinds() -> None:
    assert len(faults.IN_NETWORK) + len(faults.IN_VERILOG) > 10


@pytest.mark.parametrize("fault", sorted(faults.IN_NETWORK))
def test_a_fault_in_the_network_is_caught(fault: str, two_blocks: state.State, jets: Path) -> None:
    assert mismatches(faults.wrong_network(network.build(two_blocks), fault), two_blocks, jets) > 0


def test_no_fault_is_no_mismatch(two_blocks: state.State, jets: Path) -> None:
    assert mismatches(network.build(two_blocks), two_blocks, jets) == 0


@pytest.mark.usefixtures("simulator")
@pytest.mark.parametrize("fault", sorted(faults.IN_VERILOG))
def test_a_fault_in_the_verilog_is_caught(
    fault: str, firmware: project.Project, jets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verification, "_pytorch", lambda *_: (None, np.zeros(0, np.int64), "not asked"))
    copy = tmp_path / "fault"
    shutil.copytree(firmware.folder, copy, ignore=shutil.ignore_patterns("simulation"))
    changed = faults.break_verilog(copy / "verilog", fault)
    result = verification.verify(copy, jets, split="all")
    assert not result.passed
    assert result.changed_files == [f"verilog/{changed}"]
    assert result.legs[0].mismatches == 0


def test_a_fault_that_has_no_place_is_a_sentence(small_state: Path, tmp_path: Path) -> None:
    with pytest.raises(FpgaError, match="no place"):
        faults.break_verilog(tmp_path, "reset ignored")


def test_valid_out_is_due_unless_reset_in_between() -> None:
    control = np.array([VALID, VALID, 0, VALID | RESET, VALID, 0, 0, 0], dtype=np.uint32)
    assert streaming.due(control, 2).tolist() == [False, False, True, True, False, False, True, False]
    assert streaming.due(control, 3).nonzero()[0].tolist() == [3, 7]


def test_the_stimulus_has_gaps_and_resets_in_flight() -> None:
    played = streaming.stimulus(50, 9)
    assert played.rows[played.start : played.start + 50].tolist() == list(range(50))
    after = played.control[played.start + 50 :]
    assert ((after & RESET) != 0).sum() == 2
    assert (streaming.due(played.control, 9)[played.start + 59 :]).sum() > 20
    assert len(played.rows) == len(played.control)
