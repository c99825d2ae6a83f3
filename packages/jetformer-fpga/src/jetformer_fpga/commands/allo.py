"""`jetformer-fpga synth --backend allo`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from .. import state as states
from ..allo.driver import Stage, validate
from ..allo.jets import asked
from ..errors import FpgaError
from .application import task


def synth_allo(
    path: Path, out: Path, mode: str, data: Path | None, jets: int, clock_mhz: float, part: str, as_json: bool
) -> None:
    """Runs the stages up to `mode` and prints them; raises FpgaError where one disagrees with the reference."""
    state = states.read(path)
    with task(f"Allo, {mode}"):
        stages = validate(state, out, mode, asked(state, jets, data), clock_mhz=clock_mhz, part=part)
    if as_json:
        print(json.dumps([asdict(stage) | {"passed": stage.passed} for stage in stages], indent=1))
    else:
        Console().print(_table(stages))
    for stage in stages:
        _check(stage)


def _check(stage: Stage) -> None:
    if stage.mismatches:
        raise FpgaError(
            f"stage '{stage.stage}': {stage.mismatches} of {stage.jets} jets differ from the reference."
        )
    if stage.missing:
        raise FpgaError(
            f"stage '{stage.stage}': the C++ holds no {', '.join(stage.missing)}, which the schedule asks for."
        )


def _table(stages: list[Stage]) -> Table:
    table = Table("stage", "jets", "mismatches", "notes", title="Allo")
    for stage in stages:
        notes = [f"{name} {count}" for name, count in stage.pragmas.items()]
        if stage.synthesis:
            s, r = stage.synthesis, stage.synthesis["resources"]
            notes += [f"latency {s['latency_cycles']} cycles", f"II {s['initiation_interval']}"]
            notes += [f"{name.upper()} {r[name]:,}" for name in ("lut", "ff", "dsp", "bram")]
        ran = bool(stage.jets)
        table.add_row(
            stage.stage,
            f"{stage.jets:,}" if ran else "-",
            str(stage.mismatches) if ran else "-",
            ", ".join(notes),
        )
    return table
