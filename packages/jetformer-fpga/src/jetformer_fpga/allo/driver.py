"""Has Allo build and run a generated program, stage by stage, and compares every logit with the numpy reference.

Allo lives in another process: it ends that on errors, its assertions abort it, and its Python may be another one.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from .. import csynth, reference, tools, wrappers
from ..errors import ProjectError, ToolError
from ..fixed_point import Codes
from ..state import State
from ..vectors import Vectors
from . import cpp
from .source import Program, program

MODES = ("llvm", "hls", "csim", "csyn", "sw_emu", "hw_emu", "hw")
FORMAT = "jetformer-allo"
PYTHON = "JETFORMER_ALLO_PYTHON"
SETUP = "https://cornell-zhang.github.io/allo/setup/index.html"
WORKER = Path(__file__).with_name("worker.py")
# Those that shares are counted of; Allo's boards don't have them.
PARTS = ("xcvu13p",)


@dataclass
class Stage:
    """One stage of the validation: `mismatches` counts jets, `max_error` codes; `missing` pragmas were asked for."""

    network: str
    stage: str
    jets: int = 0
    mismatches: int = 0
    max_error: int = 0
    pragmas: dict[str, int] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    synthesis: dict[str, Any] | None = None

    @property
    def passed(self) -> bool:
        return not (self.mismatches or self.missing)


def interpreter() -> str:
    """The Python that has Allo: `JETFORMER_ALLO_PYTHON`, else this one. Raises ToolError with what to install."""
    python = os.environ.get(PYTHON) or sys.executable
    try:
        done = subprocess.run(
            [python, "-P", "-c", "import allo"], capture_output=True, text=True, check=False
        )
    except OSError as error:
        raise ToolError(f"{PYTHON} names {python}, which can't be run ({error.strerror}).") from error
    if done.returncode:
        raise ToolError(
            f"Allo is not to be had from {python} ({_last_words(done.stdout + done.stderr)}); build it as "
            f"{SETUP} tells and let {PYTHON} name its interpreter."
        )
    return python


def validate(
    state: State, out: Path, mode: str, jets: Vectors, *, clock_mhz: float = 200.0, part: str = "xcvu13p"
) -> list[Stage]:
    """Write the program to the folder `out` and run all stages up to `mode`. Raises ToolError, ProjectError."""
    if mode not in MODES:
        raise ToolError(f"Allo has no mode '{mode}'; expected one of {', '.join(MODES)}.")
    if part not in PARTS:
        raise ToolError(f"part '{part}' is not known for Allo; expected one of {', '.join(PARTS)}.")
    python = interpreter()
    if mode not in ("llvm", "hls") and shutil.which("vitis_hls") is None:
        raise ToolError(f"The mode '{mode}' needs Vitis HLS: put vitis_hls on PATH.")
    run = _Run(state, prepared(out), jets, python, clock_mhz, part)
    stages = [run.llvm(), run.hls()] if mode != "llvm" else [run.llvm()]
    if mode not in ("llvm", "hls"):
        stages.append(run.vitis(mode))
    run.describe(stages)
    return stages


def prepared(out: Path) -> Path:
    """The folder, empty; what is not an older project of this kind is kept."""
    if out.exists() and any(out.iterdir()) and not (out / "allo.json").exists():
        raise ProjectError(f"{out}: not an Allo project; choose another folder.")
    shutil.rmtree(out, ignore_errors=True)
    try:
        out.mkdir(parents=True)
        (out / "allo.json").write_text(json.dumps({"format": FORMAT, "stages": []}))
    except OSError as error:
        raise ProjectError(f"{out}: can't be written ({error.strerror}).") from error
    return out.resolve()


class _Run:
    def __init__(
        self, state: State, out: Path, jets: Vectors, python: str, clock_mhz: float, part: str
    ) -> None:
        self.out, self.python, self.clock_mhz, self.part = out, python, clock_mhz, part
        self.program: Program = program(state)
        self.name = str(state.header.get("architecture", {}).get("name", "network"))
        features = np.where(jets.mask[..., None], jets.x, 0)
        self.inputs = {"features": features, "mask": jets.mask.astype(np.int64)}
        self.expected = reference.logits(state, jets.x, jets.mask)
        (out / "network.py").write_text(self.program.text)
        np.savez(out / "jets.npz", features=features, mask=self.inputs["mask"])

    def llvm(self) -> Stage:
        self.call("llvm")
        return self.compared("llvm")

    def hls(self) -> Stage:
        """The C++ that Allo writes, compiled by an ordinary compiler with open headers."""
        self.call("hls")
        code = (self.out / "kernel.cpp").read_text()
        cpp.run(self.out, cpp.headers(), self.program.arguments, self.inputs)
        stage = self.compared("hls", cpp.pragmas(code))
        stage.missing = [kind for kind in self.asked() if not stage.pragmas.get(kind)]
        return stage

    def asked(self) -> list[str]:
        wanted = {"pipeline": self.program.pipelined, "array_partition": self.program.partitioned}
        return ["dataflow", *(kind for kind, places in wanted.items() if places)]

    def vitis(self, mode: str) -> Stage:
        self.call(mode)
        if mode != "csyn":
            return self.compared(mode)
        found = csynth.parsed(self.out / "csyn.prj", self.part)
        return Stage(self.name, mode, synthesis=found)

    def compared(self, stage: str, pragmas: dict[str, int] | None = None) -> Stage:
        answers = np.load(self.out / f"{stage}.npy").reshape(self.expected.shape)
        return compared(Stage(self.name, stage, pragmas=pragmas or {}), answers, self.expected)

    def call(self, stage: str) -> None:
        """One stage in a process of its own; what it prints goes to a log beside the results."""
        request = {
            "stage": stage,
            "program": str(self.out / "network.py"),
            "jets": str(self.out / "jets.npz"),
            "arguments": [asdict(argument) for argument in self.program.arguments],
            "answers": str(self.out / f"{stage}.npy"),
            "code": str(self.out / "kernel.cpp"),
            "project": str(self.out / f"{stage}.prj"),
            "clock_mhz": self.clock_mhz,
            "part": wrappers.full_part(self.part),
        }
        path = self.out / f"{stage}.json"
        path.write_text(json.dumps(request, indent=1))
        done = subprocess.run(
            [self.python, "-P", str(WORKER), str(path)],
            cwd=self.out,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
        log = self.out / f"{stage}.log"
        log.write_text(done.stdout)
        if done.returncode:
            raise ToolError(
                f"Allo's stage '{stage}' failed ({_ending(done.returncode)}): {_last_words(done.stdout)}; "
                f"its whole output is in {log}."
            )

    def describe(self, stages: list[Stage]) -> None:
        made: dict[str, Any] = {
            "format": FORMAT,
            "network": self.name,
            "python": self.python,
            "assumed_clock_mhz": self.clock_mhz,
            "part": self.part,
            "stages": [asdict(stage) | {"passed": stage.passed} for stage in stages],
            "versions": {"python": sys.version.split()[0], "compiler": tools.compiler().source},
        }
        synthesis = next((stage.synthesis for stage in stages if stage.synthesis), None)
        (self.out / "allo.json").write_text(json.dumps(made | (synthesis or {}), indent=1))


def compared(stage: Stage, answers: Codes, expected: Codes) -> Stage:
    """The record with what a comparison of logits `[jets, C]` finds."""
    wrong = np.abs(answers - expected)
    stage.jets, stage.mismatches = len(answers), int((wrong != 0).any(axis=1).sum())
    stage.max_error = int(wrong.max(initial=0))
    return stage


def _ending(code: int) -> str:
    return f"stopped by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def _last_words(text: str) -> str:
    """The sentence that matters: the last line that names an error, else the last line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if "Error" in line or "error:" in line or "Assertion" in line]
    return (errors or lines or ["it said nothing"])[-1][:300].rstrip(".")
