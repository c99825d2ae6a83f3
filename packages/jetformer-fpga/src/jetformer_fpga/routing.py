"""The circuit placed and routed: Vivado runs the project's `vivado/build.tcl`, and what it reports is kept in `vivado.json`.

The circuit is alone on the part (out of context), so its longest path is that between its own registers.
"""

from __future__ import annotations

import re
import shutil
from functools import partial
from pathlib import Path
from typing import Any

from . import project, vendor, vivado_reports
from .errors import ToolError
from .project import Project, Task
from .resources import with_share

RESULT = "vivado.json"
STEPS = ("synth_design", "opt_design", "place_design", "phys_opt_design", "route_design")


def route(folder: str | Path, *, again: bool = False, task: Task = project.silent) -> dict[str, Any]:
    """Has Vivado build the project in its folder `vivado`, with the log `build.log` there; returns `vivado_reports.parsed`.

    What was routed before is not routed again while the circuit, its constraints and the script are the same, unless
    `again`. Raises ProjectError, and ToolError where Vivado is absent, fails, or leaves reports that aren't whole.
    """
    loaded = project.load(folder)
    return vendor.once(loaded.folder / RESULT, _inputs(loaded), partial(_build, loaded, task), again)


def known(loaded: Project) -> dict[str, Any] | None:
    """What Vivado said of these very files, or None."""
    return vendor.known(loaded.folder / RESULT, _inputs(loaded))


def _inputs(loaded: Project) -> list[Path]:
    scripts = [loaded.folder / "vivado" / name for name in ("build.tcl", "constraints.xdc")]
    return [*sorted(loaded.verilog.glob("*.v")), *scripts]


def _build(loaded: Project, task: Task) -> dict[str, Any]:
    work = loaded.folder.resolve() / "vivado"
    vivado = shutil.which("vivado")
    if vivado is None:
        raise ToolError(
            "Vivado is needed to place and route, and there is no vivado on PATH: source its settings64.sh, or run "
            f"{work / 'build.tcl'} where it is installed."
        )
    shutil.rmtree(work / "reports", ignore_errors=True)
    command = [vivado, "-mode", "batch", "-source", "build.tcl", "-nolog", "-nojournal"]
    with task("Vivado") as progress:
        vendor.run(command, work, work / "build.log", lambda text: _tell(text, progress))
    return vivado_reports.parsed(work / "reports", int(loaded.description["latency_cycles"]))


def rows(found: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Quantity, value and source, for people."""
    reached, asked = f"{found['reached_clock_mhz']:.0f} MHz", f"{found['asked_clock_mhz']:.0f} MHz"
    slacks = ", ".join(f"{name.replace('_', ' ')} {ns:g} ns" for name, ns in found["slacks_ns"].items())
    counts = found["resources"]
    table = [
        ("latency, post-route", f"{found['latency_ns']:.1f} ns at the reached {reached}", found["source"]),
        (f"{asked}, post-route", "met" if found["timing_met"] else "NOT met", f"worst slacks: {slacks}"),
    ]
    for name in vivado_reports.ROWS:
        share = with_share(counts, name, found["part"])
        table.append((f"{name.upper()}, post-route", share, found["source"]))
    return table


def _tell(text: str, progress: Any) -> None:
    started = re.match(r"Command: (\w+)", text)
    if started and started[1] in STEPS:
        progress(STEPS.index(started[1]), len(STEPS))
