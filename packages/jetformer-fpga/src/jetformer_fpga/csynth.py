"""What Vitis HLS says of a synthesised program, under the names of the RTL report: csynth.xml to numbers."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

from .errors import ToolError
from .resources import Resources

REPORT = Path("out.prj") / "solution1" / "syn" / "report" / "csynth.xml"


def parsed(project: Path, part: str) -> dict[str, Any]:
    """Latency (cycles, ns at the requested clock), initiation interval, resources. Raises ToolError."""
    path = project / REPORT
    try:
        root = ElementTree.parse(path).getroot()
    except (OSError, ElementTree.ParseError) as error:
        raise ToolError(f"{path}: no report of Vitis HLS there ({error}).") from error
    latency, period = _number(root, path, ".//Worst-caseLatency"), _clock(root, path)
    lut, ff, dsp, bram = (int(_number(root, path, f".//AreaEstimates/Resources/{name}")) for name in NAMES)
    version = root.findtext(".//ReportVersion/Version", "").strip()
    source = f"Vitis HLS {version}, estimated by C synthesis, neither placed nor routed".replace("  ", " ")
    return {
        "latency_cycles": int(latency),
        "latency_ns": latency * period,
        "initiation_interval": int(_number(root, path, ".//Interval-max")),
        "estimated_clock_ns": _number(root, path, ".//EstimatedClockPeriod"),
        "resources": Resources(lut, ff, dsp, bram, part=part, source=source).as_json(),
    }


NAMES = ("LUT", "FF", "DSP", "BRAM_18K")


def _number(root: ElementTree.Element, path: Path, where: str) -> float:
    text = (root.findtext(where) or "").strip()
    try:
        return float(text)
    except ValueError:
        raise ToolError(f"{path}: '{where.rsplit('/', 1)[-1]}' is '{text}', a number was expected.") from None


def _clock(root: ElementTree.Element, path: Path) -> float:
    return _number(root, path, ".//TargetClockPeriod")
