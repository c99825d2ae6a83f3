"""Placing and routing, with a stand-in for Vivado: what it reports is read, and nothing half-done is taken for a result."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from jetformer_fpga import project, report, routing, vivado_reports
from jetformer_fpga.errors import ToolError

FAKE = Path(__file__).parent / "fakes" / "vivado"


@pytest.fixture
def vivado(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Vivado is the stand-in, run by this Python."""
    folders = [str(FAKE), str(Path(sys.executable).parent), os.environ["PATH"]]
    monkeypatch.setenv("PATH", os.pathsep.join(folders))
    monkeypatch.delenv("FAKE_VIVADO", raising=False)
    return monkeypatch


@pytest.mark.usefixtures("vivado")
def test_figures_of_a_routed_circuit(copy: Path) -> None:
    found = routing.route(copy)
    cycles = project.load(copy).description["latency_cycles"]
    counts = {"lut": 17280, "ff": 3457, "dsp": 5, "bram": 3, "uram": 0}  # 1.5 tiles are 3 blocks of 18 kbit
    assert {name: found["resources"][name] for name in counts} == counts
    assert found["resources"]["share"]["lut"] == pytest.approx(0.01)
    assert found["part"] == "xcvu13p-flga2577-2-e"
    assert found["source"].startswith("Vivado 2023.2, placed and routed")
    assert found["timing_met"]
    assert (found["asked_clock_mhz"], found["reached_clock_mhz"]) == (
        200.0,
        250.0,
    )  # 5 ns with 1 ns of slack left
    assert found["latency_ns"] == pytest.approx(4.0 * cycles)
    assert json.loads((copy / "vivado.json").read_text()) == found
    assert "Command: route_design" in (copy / "vivado" / "build.log").read_text()


@pytest.mark.usefixtures("vivado")
def test_older_reports_have_a_column_less(copy: Path) -> None:
    """Vivado before 2021 has no 'Prohibited'."""
    found = routing.route(copy)
    place = copy / "vivado" / "reports" / "utilization.txt"
    lines = [line.split("|") for line in place.read_text().splitlines()]
    older = ["|".join([*cells[:4], *cells[5:]] if len(cells) == 8 else cells) for cells in lines]
    assert "Prohibited" not in "\n".join(older)
    place.write_text("\n".join(older))
    again = vivado_reports.parsed(place.parent, found["latency_cycles"])
    assert again == {name: found[name] for name in again}


def test_a_clock_that_is_missed(copy: Path, vivado: pytest.MonkeyPatch) -> None:
    vivado.setenv("FAKE_VIVADO", "slow")
    found = routing.route(copy)
    assert not found["timing_met"]
    assert found["reached_clock_mhz"] == pytest.approx(160.0)
    assert ("200 MHz, post-route", "NOT met") in [row[:2] for row in routing.rows(found)]


def test_the_report_tells_what_was_routed(copy: Path, tmp_path: Path, vivado: pytest.MonkeyPatch) -> None:
    page = tmp_path / "report.html"
    assert report.write(copy, page)["vivado"] is None
    assert "not routed" in page.read_text()
    routing.route(copy)
    assert report.write(copy, page)["vivado"]["resources"]["dsp"] == 5
    text = page.read_text()
    assert "17,280 (1.0% of xcvu13p-flga2577-2-e)" in text
    assert "at the reached 250 MHz" in text
    core = copy / "verilog" / "jetformer.v"
    core.write_text(core.read_text() + "// changed\n")
    assert report.write(copy, page)["vivado"] is None
    assert "not routed" in page.read_text()


def test_the_same_is_routed_once(copy: Path, vivado: pytest.MonkeyPatch) -> None:
    first = routing.route(copy)
    vivado.setenv("FAKE_VIVADO", "slow")
    assert routing.route(copy) == first
    assert not routing.route(copy, again=True)["timing_met"]
    vivado.setenv("FAKE_VIVADO", "met")
    script = copy / "vivado" / "build.tcl"
    script.write_text(script.read_text().replace("\nplace_design", "\nplace_design -directive Explore"))
    assert routing.route(copy)["timing_met"]


@pytest.mark.parametrize(
    ("fault", "words"),
    (
        ("fail", r"vivado failed \(exit code 1\): ERROR: \[Place 30-640\] .*; its log is .*build\.log"),
        ("unrouted", "'Fully Placed', not routed"),
        ("half", "'DSPs' is missing"),
        ("no timing", r"timing\.txt: Vivado left no report"),
        ("untimed", "is the clock constrained"),
    ),
)
def test_a_failed_run_leaves_no_result(
    copy: Path, vivado: pytest.MonkeyPatch, fault: str, words: str
) -> None:
    vivado.setenv("FAKE_VIVADO", fault)
    with pytest.raises(ToolError, match=words):
        routing.route(copy)
    assert not (copy / "vivado.json").exists()
    assert (copy / "vivado" / "build.log").is_file()


def alive(number: int) -> bool:
    """Whether the process runs; one that nobody has asked for its end doesn't."""
    try:
        return Path(f"/proc/{number}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are looked up in /proc")
def test_a_killed_run_leaves_nothing_behind(copy: Path, vivado: pytest.MonkeyPatch) -> None:
    vivado.setenv("FAKE_VIVADO", "hang")
    log = copy / "vivado" / "build.log"
    command = [sys.executable, "-m", "jetformer_fpga", "route", str(copy)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as ours:
        until = time.monotonic() + 60
        while not (log.is_file() and "processes" in log.read_text()) and time.monotonic() < until:
            time.sleep(0.05)
        started = [int(word) for word in log.read_text().split("processes ")[1].split()[:2]]
        assert all(alive(number) for number in started)
        ours.send_signal(signal.SIGTERM)
        assert ours.wait(60) != 0
    until = time.monotonic() + 10
    while any(alive(number) for number in started) and time.monotonic() < until:
        time.sleep(0.05)
    assert not any(alive(number) for number in started)
    assert routing.known(project.load(copy)) is None
