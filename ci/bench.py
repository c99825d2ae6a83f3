"""Runs the benchmarks of one package, one process each: python ci/bench.py NAME [PART ...]

A benchmark is a file packages/jetformer-NAME/benchmarks/PART.py with a function `measure()` that returns numbers under
the names they get in build/bench/NAME.json; `real_folder` is passed to those that ask for it. A part that fails or cannot
run is recorded under "failed" or "skipped" with its reason; what other parts measured, now or earlier, is kept.
"""

from __future__ import annotations

import importlib
import inspect
import json
import os
import platform
import subprocess
import sys
import time
from datetime import UTC, datetime
from importlib.metadata import distributions, requires
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
REAL = "JETFORMER_REAL_DATA"


def conditions(name: str) -> dict[str, Any]:
    """Machine and versions of what the package declares: what a figure means nothing without."""
    declared = {Requirement(line).name.lower() for line in requires(f"jetformer-{name}") or ()}
    versions = {d.name.lower(): d.version for d in distributions()}
    versions = {key: version for key, version in versions.items() if key in declared | {f"jetformer-{name}"}}
    return {
        "date": datetime.now(UTC).isoformat(timespec="minutes"),
        "machine": f"{_processor()}, {len(os.sched_getaffinity(0))} cores, {platform.platform()}",
        "python": platform.python_version(),
        "versions": dict(sorted(versions.items())),
    }


def measure(part: Path) -> dict[str, Any]:
    """What the benchmark in the file `part` measures; a string under "skipped" says why it could not run."""
    sys.path.insert(0, str(part.parent))
    module = importlib.import_module(part.stem)
    arguments = {}
    if "real_folder" in inspect.signature(module.measure).parameters:
        if not os.environ.get(REAL):
            return {"skipped": f"{REAL} is not set: it names the folder of real jets to compare with"}
        arguments["real_folder"] = Path(os.environ[REAL])
    return dict(module.measure(**arguments))


def run(name: str, parts: list[Path]) -> int:
    """Measure and record the parts one after another; 0 where all of them ran."""
    record = ROOT / "build" / "bench" / f"{name}.json"
    record.parent.mkdir(parents=True, exist_ok=True)
    found: dict[str, Any] = json.loads(record.read_text()) if record.exists() else {}
    failures = 0
    for part in parts:
        print(f"{name}: {part.stem}", flush=True)
        result = record.with_suffix(f".{part.stem}.partial")
        begin = time.monotonic()
        # a process each: peak memory and imported libraries are the part's own
        code = subprocess.run([sys.executable, __file__, "--part", str(part), str(result)]).returncode
        measured = json.loads(result.read_text()) if code == 0 else {"failed": f"exit code {code}"}
        result.unlink(missing_ok=True)
        seconds = round(time.monotonic() - begin, 1)
        outcome = next((key for key in ("failed", "skipped") if key in measured), None)
        failures += outcome == "failed"
        made = {"figures": sorted(measured), "seconds": seconds} | conditions(name)
        if outcome:
            made = {outcome: measured[outcome]}
            print(f"  {outcome}: {measured[outcome]}", flush=True)
        else:
            found |= measured
        found.setdefault("conditions", {})[part.stem] = made
        draft = record.with_suffix(".partial")
        draft.write_text(json.dumps(found, indent=1) + "\n")
        os.replace(draft, record)
    print(f"{record}: {', '.join(key for key in found if key != 'conditions')}")
    return 1 if failures else 0


def main(arguments: list[str]) -> int:
    if arguments[:1] == ["--part"]:
        Path(arguments[2]).write_text(json.dumps(measure(Path(arguments[1]))))
        return 0
    name, *wanted = arguments
    parts = sorted((ROOT / "packages" / f"jetformer-{name}" / "benchmarks").glob("*.py"))
    known = [part.stem for part in parts]
    if unknown := set(wanted) - set(known):
        print(
            f"jetformer-{name} has no benchmark {', '.join(sorted(unknown))}: it has {', '.join(known) or 'none'}"
        )
        return 2
    return run(name, [part for part in parts if not wanted or part.stem in wanted])


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else ():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
