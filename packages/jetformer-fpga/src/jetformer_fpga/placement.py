"""Places and routes a small circuit on an iCE40 with open tools: a sanity check of the delays that stages are cut by.

An iCE40 HX8K is an old, small and slow FPGA with one carry chain a LUT, as UltraScale+ has; what can be compared is how the
longest path grows with the stage delay, not nanoseconds. The period is after routing, by nextpnr's model of this chip.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from . import fusion, network, tools, tracer
from .errors import ToolError
from .state import State
from .tracing import TABLE_BITS

CHIP = ("--hx8k", "--package", "ct256")
NAME = "layer"


@dataclass(frozen=True)
class Placed:
    """`longest_ns` is the period that the slowest stage needs."""

    stage_delay: float
    stages: int
    longest_ns: float
    logic_cells: int
    source: str


def place(state: State, stage_delay: float, seed: int = 1) -> Placed:
    """The pipeline of a network of a few hundred adders. Raises ToolError without the tools, or if it is too large."""
    yosys, nextpnr = tools.yosys(), shutil.which("nextpnr-ice40")
    if yosys is None or nextpnr is None:
        raise ToolError("Yosys and nextpnr-ice40 are needed (on Debian: `apt install yosys nextpnr-ice40`).")
    program = tracer.trace(fusion.fuse(network.build(state), TABLE_BITS))
    line = tracer.pipeline(program, stage_delay)
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work)
        for name, text in tracer.verilog(line, NAME).items():
            (folder / name).write_text(text)
        script = f"read_verilog {' '.join(sorted(p.name for p in folder.glob('*.v')))}\n"
        (folder / "run.ys").write_text(f"{script}synth_ice40 -top {NAME} -json {NAME}.json\n")
        yosys.run("-q", "run.ys", cwd=folder)
        command = [nextpnr, *CHIP, "--json", f"{NAME}.json", "--report", "report.json", "--seed", str(seed)]
        command += ["--freq", "100", "--timing-allow-fail", "--pcf-allow-unconstrained", "--quiet"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode:
            raise ToolError(f"nextpnr-ice40 failed: {' | '.join(done.stderr.strip().splitlines()[-3:])}")
        report = json.loads((folder / "report.json").read_text())
    (clock,) = report["fmax"].values()
    cells = int(report["utilization"]["ICESTORM_LC"]["used"])
    source = f"{yosys.source}, nextpnr-ice40 on an iCE40 HX8K, routed"
    return Placed(stage_delay, line.stages, 1000 / float(clock["achieved"]), cells, source)
