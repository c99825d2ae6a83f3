"""What Vivado reports of a routed circuit, under the names of the other reports: its tables to numbers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import ToolError

# Rows of `report_utilization` for UltraScale+, and how many of ours one of theirs is: block RAM comes in pairs of 18 kbit.
ROWS = {
    "lut": ("CLB LUTs", 1),
    "ff": ("CLB Registers", 1),
    "dsp": ("DSPs", 1),
    "bram": ("Block RAM Tile", 2),
    "uram": ("URAM", 1),
}
OPTIONAL = ("uram",)  # not every part has them
# Columns of `report_timing_summary`.
SLACKS = {"setup": "WNS(ns)", "hold": "WHS(ns)", "pulse_width": "WPWS(ns)"}


def parsed(reports: Path, latency_cycles: int) -> dict[str, Any]:
    """From `utilization.txt` and `timing.txt`: part, resources with their share of it, slacks in ns, and the clock reached.

    The reached clock has the period of the constraint less the worst slack of setup, so it is above the clock asked for
    where slack is left. Block RAM is counted in blocks of 18 kbit. Raises ToolError where the reports aren't whole, or
    of a circuit that is not routed.
    """
    used, timed = _Report.at(reports / "utilization.txt"), _Report.at(reports / "timing.txt")
    state = used.heading("Design State")
    if "route" not in state.lower():  # 'Routed', 'Physopt postRoute'
        raise ToolError(f"{used.path}: the design is '{state}', not routed.")
    tool = " ".join(used.heading("Tool Version").replace("v.", "").split()[:2])
    slacks, period = _slacks(timed), _period(timed)
    reached = period - slacks["setup"]
    return {
        "part": used.heading("Device"),
        "source": f"{tool}, placed and routed alone on the part (out of context)",
        "resources": _resources(used),
        "asked_clock_mhz": 1000 / period,
        "timing_met": min(slacks.values()) >= 0,
        "slacks_ns": slacks,
        "reached_clock_mhz": 1000 / reached,
        "latency_cycles": latency_cycles,
        "latency_ns": latency_cycles * reached,
    }


@dataclass(frozen=True)
class _Report:
    path: Path
    text: str

    @classmethod
    def at(cls, path: Path) -> _Report:
        try:
            return cls(path, path.read_text(errors="replace"))
        except OSError as error:
            raise ToolError(f"{path}: Vivado left no report there ({error.strerror}).") from error

    def heading(self, name: str) -> str:
        return self.found(rf"^\| {name} *: *(.+?) *$", name)[1]

    def found(self, pattern: str, name: str) -> re.Match[str]:
        found = re.search(pattern, self.text, re.MULTILINE)
        if found is None:
            raise self.lacking(name)
        return found

    def lacking(self, name: str) -> ToolError:
        return ToolError(f"{self.path}: not a whole report of Vivado, '{name}' is missing.")


def _resources(report: _Report) -> dict[str, Any]:
    """Counts, and their `share` of what the part has. The first row of a name is that of the whole part."""
    rows: dict[str, tuple[float, float]] = {}
    columns: list[str] = []
    for line in report.text.splitlines():
        cells = [cell.strip(" *") for cell in line.split("|")[1:-1]]
        if cells[:1] == ["Site Type"]:
            columns = cells
        elif len(cells) == len(columns) and {"Used", "Available"} <= set(columns):
            row = dict(zip(columns, cells, strict=True))
            if row["Available"]:  # what is inside a row above has none
                rows.setdefault(row["Site Type"], (float(row["Used"]), float(row["Available"])))
    counts, share = {}, {}
    for name, (row_name, times) in ROWS.items():
        if row_name not in rows and name not in OPTIONAL:
            raise report.lacking(row_name)
        used, available = rows.get(row_name, (0.0, 0.0))
        counts[name] = round(used * times)
        share[name] = used / available if available else 0.0
    return counts | {"share": share}


def _slacks(report: _Report) -> dict[str, float]:
    """The worst of setup, hold and pulse width, in ns."""
    name = "Design Timing Summary"
    table = report.found(rf"^\| {name} *$[\s\S]*?^( *WNS\(ns\).*)\n[ -]+\n(.*)$", name)
    names, values = re.split(r" {2,}", table[1].strip()), table[2].split()
    try:
        row = dict(zip(names, map(float, values), strict=True))
        return {name: row[column] for name, column in SLACKS.items()}
    except (KeyError, ValueError):
        told = " ".join(values)
        raise ToolError(f"{report.path}: no slacks there, but {told}; is the clock constrained?") from None


def _period(report: _Report) -> float:
    return float(report.found(r"^ *clk +\{[\d. ]+\} +([\d.]+) +[\d.]+ *$", "clock clk")[1])
