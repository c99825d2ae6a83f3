"""Vitis HLS synthesises C++, and what it says of it (csynth.xml) is read under the names of the RTL report."""

from __future__ import annotations

import shutil
import xml.etree.ElementTree as ElementTree
from functools import partial
from pathlib import Path
from typing import Any

from . import hls, project, vendor
from .errors import ToolError
from .project import Project, Task
from .resources import Resources, with_share

RESULT = "hls.json"
REPORT = Path(hls.PROJECT) / hls.SOLUTION / "syn" / "report" / "csynth.xml"
NAMES = ("LUT", "FF", "DSP", "BRAM_18K")


def synthesise(folder: str | Path, *, again: bool = False, task: Task = project.silent) -> dict[str, Any]:
    """Has Vitis HLS synthesise the C++ of a project, with the log `hls/csynth.log`; returns `parsed`.

    The same is not synthesised twice, unless `again`. Raises ProjectError, and ToolError where Vitis HLS is absent or fails.
    """
    loaded = project.load(folder)
    return vendor.once(loaded.folder / RESULT, _inputs(loaded), partial(_synthesise, loaded, task), again)


def known(loaded: Project) -> dict[str, Any] | None:
    """What Vitis HLS said of these very files, or None."""
    return vendor.known(loaded.folder / RESULT, _inputs(loaded))


def _inputs(loaded: Project) -> list[Path]:
    return [loaded.folder / "hls" / name for name in hls.FILES]


def _synthesise(loaded: Project, task: Task) -> dict[str, Any]:
    work, vitis = loaded.folder.resolve() / "hls", shutil.which("vitis_hls")
    if vitis is None:
        raise ToolError(
            "Vitis HLS is needed for C synthesis, and there is no vitis_hls on PATH: source its settings64.sh, or run "
            f"{work / 'csynth.tcl'} where it is installed."
        )
    shutil.rmtree(work / hls.PROJECT, ignore_errors=True)
    with task("Vitis HLS"):
        vendor.run([vitis, "-f", "csynth.tcl"], work, work / "csynth.log")
    return parsed(work, loaded.description["part"])


def rows(found: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Quantity, value and source, for people."""
    counts = found["resources"]
    source = counts["resource_source"]
    cycles = f"{found['latency_cycles']} cycles, {found['latency_ns']:.0f} ns"
    table = [
        ("latency, HLS", cycles, source),
        ("initiation interval, HLS", f"{found['initiation_interval']} cycles", source),
    ]
    for name in ("lut", "ff", "dsp", "bram"):
        table.append((f"{name.upper()}, HLS", with_share(counts, name, counts["part"]), source))
    return table


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


def _number(root: ElementTree.Element, path: Path, where: str) -> float:
    text = (root.findtext(where) or "").strip()
    try:
        return float(text)
    except ValueError:
        raise ToolError(f"{path}: '{where.rsplit('/', 1)[-1]}' is '{text}', a number was expected.") from None


def _clock(root: ElementTree.Element, path: Path) -> float:
    return _number(root, path, ".//TargetClockPeriod")
