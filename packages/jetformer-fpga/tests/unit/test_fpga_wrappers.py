"""The wrappers: AXI4-Stream in simulation, with senders and receivers that pause; VHDL and Vivado as text."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

import numpy as np
import pytest

from jetformer_fpga import project, reference, simulation, vectors, wrappers
from jetformer_fpga.errors import ToolError


@pytest.fixture(scope="module")
def streamed(firmware: project.Project, tmp_path_factory: pytest.TempPathFactory) -> Path:
    work = tmp_path_factory.mktemp("axis")
    return simulation.compile_circuit(firmware.verilog, work, top=wrappers.AXIS, bench="testbench_axis.cpp")


@pytest.mark.usefixtures("simulator")
@pytest.mark.parametrize(("sender", "receiver"), ((100, 100), (60, 100), (100, 35), (50, 50)))
def test_no_jet_is_lost_or_out_of_order(
    sender: int, receiver: int, streamed: Path, firmware: project.Project, jets: Path, tmp_path: Path
) -> None:
    asked = vectors.of_file(firmware.state, jets, "all", None)[0] + vectors.corners(firmware.state)
    found = simulation.stream(
        streamed, firmware.ports, asked.x.reshape(len(asked), -1), asked.mask, tmp_path,
        sender=sender, receiver=receiver,
    )  # fmt: skip
    np.testing.assert_array_equal(found, reference.logits(firmware.state, asked.x, asked.mask))


@pytest.mark.usefixtures("simulator")
def test_a_queue_without_room_is_noticed(firmware: project.Project, jets: Path, tmp_path: Path) -> None:
    """Planted: the wrapper takes jets whether or not their answers will have a place."""
    verilog = tmp_path / "verilog"
    verilog.mkdir()
    for path in firmware.verilog.glob("*.v"):
        text = path.read_text()
        (verilog / path.name).write_text(text.replace("s_axis_tready = free != 0", "s_axis_tready = 1'b1"))
    bench = simulation.compile_circuit(
        verilog, tmp_path / "work", top=wrappers.AXIS, bench="testbench_axis.cpp"
    )
    asked = vectors.of_file(firmware.state, jets, "all", None)[0]
    expected = reference.logits(firmware.state, asked.x, asked.mask)
    features = asked.x.reshape(len(asked), -1)
    with contextlib.suppress(ToolError):  # raised where an answer changed while it waited
        found = simulation.stream(
            bench, firmware.ports, features, asked.mask, tmp_path, sender=100, receiver=20
        )
        assert not np.array_equal(found, expected)


def test_the_texts_name_the_ports(firmware: project.Project) -> None:
    vhdl = (firmware.folder / "vhdl" / "jetformer_vhdl.vhd").read_text()
    ports = firmware.ports
    for name, width in (("features", ports.features.width), ("logits", ports.answers.width)):
        assert len(re.findall(rf"{name} : \w+ std_logic_vector\({width - 1} downto 0\)", vhdl)) == 2
    build = (firmware.folder / "vivado" / "build.tcl").read_text()
    assert "set_part xcvu13p-flga2577-2-e" in build
    assert "synth_design -top jetformer " in build
    assert "-period 5.0000" in (firmware.folder / "vivado" / "constraints.xdc").read_text()
    assert firmware.changed_files() == []


def test_streams_are_whole_bytes(firmware: project.Project) -> None:
    assert all(width % 8 == 0 for width in wrappers.stream_widths(firmware.ports))


def test_lines_of_verilog_are_short(firmware: project.Project) -> None:
    """Verilator 5.048 loses its way in lines of more than 64 kB, which a wide network would have."""
    assert (
        max(len(line) for path in firmware.verilog.glob("*.v") for line in path.read_text().splitlines())
        < 500
    )
