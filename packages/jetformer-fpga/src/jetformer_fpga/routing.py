"""The circuit placed and routed: Vivado runs the project's `vivado/build.tcl`, and what it reports is kept in `vivado.json`.

The circuit is alone on the part (out of context), so its longest path is that between its own registers.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import time
from pathlib import Path
from typing import Any

from . import project, vendor
from .errors import ToolError
from .project import Project, Task

RESULT = "vivado.json"
STEPS = ("synth_design", "opt_design", "place_design", "phys_opt_design", "route_design")
# Rows of `report_utilization` for UltraScale+, and how many of ours one of theirs is: block RAM comes in pairs of 18 kbit.
ROWS = {
    "lut": ("CLB LUTs", 1),
    "ff": ("CLB Registers", 1),
    "dsp": ("DSPs", 1),
    "bram": ("Block RAM Tile", 2),
    "uram": ("URAM", 1),
}
OPTIONAL = ("uram",)  # not every part has them


def route(folder: str | Path, *, again: bool = False, task: Task = project._silent) -> dict[str, Any]:
    """Has Vivado build the project in its folder `vivado`, with the log `vivado/build.log`; returns and keeps `parsed`.

    What was routed before is not routed again while the circuit, its constraints and the script are the same, unless
    `again`. Raises ProjectError, and ToolError where Vivado is absent, fails, or leaves reports that aren't whole.
    """
    loaded = project.load(folder)
    if not again and (there := known(loaded)) is not None:
        return there
    vivado = shutil.which("vivado")
    if vivado is None:
        raise ToolError(
            "Vivado is needed to place and route, and there is no vivado on PATH: source its settings64.sh, or run "
            f"{loaded.folder / 'vivado' / 'build.tcl'} where it is installed."
        )
    work, made_from, began = loaded.folder.resolve() / "vivado", _made_from(loaded), time.monotonic()
    (loaded.folder / RESULT).unlink(missing_ok=True)
    shutil.rmtree(work / "reports", ignore_errors=True)
    command = [vivado, "-mode", "batch", "-source", "build.tcl", "-nolog", "-nojournal"]
    with task("Vivado") as progress:
        vendor.run(command, work, work / "build.log", lambda text: _tell(text, progress))
    found = parsed(work / "reports", int(loaded.description["latency_cycles"]))
    found |= {"made_from": made_from, "seconds": round(time.monotonic() - began, 1)}
    partial = loaded.folder / f".{RESULT}.partial"
    partial.write_text(json.dumps(found, indent=1))
    os.replace(partial, loaded.folder / RESULT)
    return found


def rows(found: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Quantity, value and source, for people."""
    reached, asked = f"{found['reached_clock_mhz']:.0f} MHz", f"{found['asked_clock_mhz']:.0f} MHz"
    slack = ", ".join(f"{name} {found[f'{name}_slack_ns']:g} ns" for name in ("setup", "hold", "pulse_width"))
    counts = found["resources"]
    table = [
        ("latency, post-route", f"{found['latency_ns']:.1f} ns at the reached {reached}", found["source"]),
        (f"{asked}, post-route", "met" if found["timing_met"] else "NOT met", f"worst slacks: {slack}"),
    ]
    for name in ROWS:
        share = f"{counts[name]:,} ({counts['share'][name]:.1%} of {found['part']})"
        table.append((f"{name.upper()}, post-route", share, found["source"]))
    return table


def _tell(text: str, progress: Any) -> None:
    started = re.match(r"Command: (\w+)", text)
    if started and started[1] in STEPS:
        progress(STEPS.index(started[1]), len(STEPS))


def known(loaded: Project) -> dict[str, Any] | None:
    """What Vivado said of these very files, or None."""
    try:
        found: dict[str, Any] = json.loads((loaded.folder / RESULT).read_text())
    except (OSError, ValueError):
        return None
    return found if found.get("made_from") == _made_from(loaded) else None


def _made_from(loaded: Project) -> str:
    """Of all that Vivado reads."""
    files = [
        *sorted(loaded.verilog.glob("*.v")),
        *(loaded.folder / "vivado" / n for n in ("build.tcl", "constraints.xdc")),
    ]
    return hashlib.sha256(b"\0".join(path.name.encode() + path.read_bytes() for path in files)).hexdigest()


def parsed(reports: Path, latency_cycles: int) -> dict[str, Any]:
    """From `utilization.txt` and `timing.txt`: part, resources with their share of it, slacks in ns, and the clock reached.

    The reached clock has the period of the constraint less the worst slack of setup, which is above the clock asked for
    where slack is left. Block RAM is counted in blocks of 18 kbit. Raises ToolError.
    """
    used, timed = _read(reports / "utilization.txt"), _read(reports / "timing.txt")
    state = _heading(used, "Design State", reports / "utilization.txt")
    if "route" not in state.lower():  # 'Routed', 'Physopt postRoute'
        raise ToolError(f"{reports / 'utilization.txt'}: the design is '{state}', not routed.")
    tool = " ".join(_heading(used, "Tool Version", reports / "utilization.txt").replace("v.", "").split()[:2])
    source = f"{tool}, placed and routed alone on the part (out of context)"
    slack, period = _slacks(timed, reports / "timing.txt"), _period(timed, reports / "timing.txt")
    reached = period - slack["WNS(ns)"]
    return {
        "part": _heading(used, "Device", reports / "utilization.txt"),
        "source": source,
        "resources": _resources(used, reports / "utilization.txt"),
        "asked_clock_mhz": 1000 / period,
        "timing_met": min(slack.values()) >= 0,
        "setup_slack_ns": slack["WNS(ns)"],
        "hold_slack_ns": slack["WHS(ns)"],
        "pulse_width_slack_ns": slack["WPWS(ns)"],
        "reached_clock_mhz": 1000 / reached,
        "latency_cycles": latency_cycles,
        "latency_ns": latency_cycles * reached,
    }


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError as error:
        raise ToolError(f"{path}: Vivado left no report there ({error.strerror}).") from error


def _heading(text: str, name: str, path: Path) -> str:
    found = re.search(rf"^\| {name} *: *(.+?) *$", text, re.MULTILINE)
    if not found:
        raise ToolError(f"{path}: not a whole report of Vivado, '{name}' is missing.")
    return found[1]


def _resources(text: str, path: Path) -> dict[str, Any]:
    """Counts, and their `share` of what the part has. The first row of a name is that of the whole part."""
    rows: dict[str, tuple[float, float]] = {}
    columns: list[str] = []
    for line in text.splitlines():
        cells = [cell.strip(" *") for cell in line.split("|")[1:-1]]
        if cells[:1] == ["Site Type"]:
            columns = cells
        elif len(cells) == len(columns) and {"Used", "Available"} <= set(columns):
            row = dict(zip(columns, cells, strict=True))
            try:
                rows.setdefault(row["Site Type"], (float(row["Used"]), float(row["Available"])))
            except ValueError:  # rows below a row have no 'Available'
                continue
    counts, share = {}, {}
    for name, (row_name, times) in ROWS.items():
        if row_name not in rows and name not in OPTIONAL:
            raise ToolError(f"{path}: not a whole report of Vivado, the row '{row_name}' is missing.")
        used, available = rows.get(row_name, (0.0, 0.0))
        counts[name] = round(used * times)
        share[name] = used / available if available else 0.0
    return counts | {"share": share}


def _slacks(text: str, path: Path) -> dict[str, float]:
    """The worst of setup, hold and pulse width, in ns."""
    table = re.search(
        r"^\| Design Timing Summary *$[\s\S]*?^( *WNS\(ns\).*)\n[ -]+\n(.*)$", text, re.MULTILINE
    )
    if table is None:
        raise ToolError(
            f"{path}: not a whole report of Vivado, the table 'Design Timing Summary' is missing."
        )
    names, values = re.split(r" {2,}", table[1].strip()), table[2].split()
    try:
        row = dict(zip(names, map(float, values), strict=True))
        return {name: row[name] for name in ("WNS(ns)", "WHS(ns)", "WPWS(ns)")}
    except (KeyError, ValueError):
        raise ToolError(
            f"{path}: no slacks there, but {' '.join(values)}; is the clock constrained?"
        ) from None


def _period(text: str, path: Path) -> float:
    found = re.search(r"^ *clk +\{[\d. ]+\} +([\d.]+) +[\d.]+ *$", text, re.MULTILINE)
    if found is None:
        raise ToolError(f"{path}: the clock 'clk' of constraints.xdc is not among the clocks.")
    return float(found[1])
