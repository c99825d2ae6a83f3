"""A firmware project: one folder with the Verilog, its port map, the state it was made from, and what made it.

The folder appears under its name only when it is whole: it is written beside it and renamed.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import platform
import shutil
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import answers, capacity, hls, resources, state, tools, tracer, wrappers
from .errors import FpgaError, ProjectError
from .ports import CORE, TOP, Ports, ports_of, top_level
from .tracing import TABLE_BITS, traced

__all__ = ["CLOCK_MHZ", "STAGE_DELAY", "TABLE_BITS", "Project", "load", "synth", "versions"]

FORMAT, VERSION = "jetformer-firmware", "1.0"
# In the tracer's units; a short adder with its way to the next is about 1.2, so 9 is some seven adders in a row.
STAGE_DELAY = 9.0
CLOCK_MHZ = 200.0
Task = Callable[[str], AbstractContextManager[resources.Progress]]


def silent(_: str) -> AbstractContextManager[resources.Progress]:
    """A task whose progress nobody is told."""
    return nullcontext(lambda done, total: None)


@dataclass(frozen=True)
class Project:
    """A whole project on disk."""

    folder: Path
    description: dict[str, Any]
    state: state.State
    ports: Ports

    @property
    def state_path(self) -> Path:
        return self.folder / "state.safetensors"

    @property
    def verilog(self) -> Path:
        return self.folder / "verilog"

    def program(self) -> Any:
        """What the tracer's interpreter runs."""
        return tracer.load(self.folder / "program.json.gz")

    def changed_files(self) -> list[str]:
        """Files that are not as `synth` left them."""
        return [
            name
            for name, digest in self.description["files"].items()
            if file_digest(self.folder / name) != digest
        ]


def synth(
    state_path: str | Path,
    out: str | Path,
    *,
    stage_delay: float = STAGE_DELAY,
    stages: int | None = None,
    clock_mhz: float = CLOCK_MHZ,
    part: str = "xcvu13p",
    multipliers: str = "auto",
    output: str = "logits",
    measure_resources: bool = True,
    task: Task = silent,
) -> Project:
    """Turn a fixed-point state into a pipelined circuit in the folder `out`; see `jetformer-fpga synth --help`.

    `stages` asks for at most so many cycles of logic instead of a longest delay of each. `output`: of `answers.OUTPUTS`.
    A project that is there already, unchanged and made from the same, is left as it is. Raises FpgaError; a circuit that is
    too large for the part is refused where its resources are measured.
    """
    state_path, out = Path(state_path), Path(out)
    resources.check_part(part)
    resources.check_multipliers(multipliers)
    if not (clock_mhz > 0 and stage_delay > 0) or (stages is not None and stages < 1):
        raise FpgaError("clock, stage delay and stages must be above 0.")
    _check_target(out)
    loaded = answers.answering(state.read(state_path), output)
    options = {
        "stage_delay": stage_delay,
        "stages": stages,
        "clock_mhz": clock_mhz,
        "part": part,
        "output": output,
    }
    options |= {"multipliers": multipliers, "measure_resources": measure_resources}
    made_from = _made_from(state_path, options)
    if (there := _unchanged(out, made_from)) is not None:
        return there
    for kind in ("partial", "old"):
        sweep(out.parent, f".{out.name}.{kind}-")
    with task("tracing"):
        program = traced(loaded, state_path)
    line = tracer.pipeline(program, stage_delay) if stages is None else tracer.pipeline_of(program, stages)
    ports = ports_of(loaded)
    description = _description(state_path, loaded, line, clock_mhz, part)
    description |= {"multipliers": multipliers, "output": output, "made_from": made_from}
    if measure_resources:
        with task("resources") as progress:
            found = resources.measure(line, part, line.latency_cycles, progress, multipliers)
        capacity.check(found, loaded)
        description["resources"] = found.as_json()
    partial = out.with_name(f".{out.name}.partial-{os.getpid()}")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        _write(partial, state_path, line, ports, description)
        _move(partial, out)
    except OSError as error:
        raise ProjectError(f"{out}: can't be written ({error.strerror}).") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return load(out)


def load(folder: str | Path) -> Project:
    """A project from disk; raises ProjectError where it is not a whole one."""
    folder = Path(folder)
    place = folder / "project.json"
    if not place.is_file():
        raise ProjectError(
            f"{folder}: no firmware project here (project.json is missing); make one with `jetformer-fpga synth`."
        )
    try:
        description = json.loads(place.read_text())
        known = (
            description["format"] == FORMAT and description["version"].split(".")[0] == VERSION.split(".")[0]
        )
        names = list(description["files"])
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ProjectError(
            f"{place}: not a firmware project; make it again with `jetformer-fpga synth`."
        ) from None
    if not known:
        raise ProjectError(
            f"{place}: version {description['version']} of '{description['format']}' is not known here."
        )
    for name in names:
        if not (folder / name).is_file():
            raise ProjectError(
                f"{folder}: '{name}' is missing; make the project again with `jetformer-fpga synth`."
            )
    plain = state.read(folder / "state.safetensors")
    loaded = answers.answering(plain, description.get("output", "logits"))
    return Project(folder, description, loaded, ports_of(loaded))


def versions() -> dict[str, str]:
    packages = ("jetformer-fpga", "jetformer-data", "numpy", "safetensors", "alkaid")
    return {"python": platform.python_version()} | {
        name: importlib.metadata.version(name) for name in packages
    }


def _check_target(out: Path) -> None:
    if out.exists() and not (out / "project.json").is_file() and (not out.is_dir() or any(out.iterdir())):
        raise ProjectError(f"{out}: exists and is not a firmware project; name another folder.")


def file_digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def joint_digest(paths: Iterable[Path]) -> str:
    """Of the contents of files, in their order."""
    return hashlib.sha256(b"".join(bytes.fromhex(file_digest(path)) for path in paths)).hexdigest()


def code_digest() -> str:
    """Of this package's own files: a result of other code is not the same result."""
    here = Path(__file__).parent
    return joint_digest(sorted(path for path in here.rglob("*") if path.suffix in (".py", ".cpp", ".hpp")))


def _made_from(state_path: Path, options: dict[str, Any]) -> str:
    """Of everything that decides what a project holds."""
    yosys = tools.yosys() if options["measure_resources"] else None
    parts = [
        file_digest(state_path),
        code_digest(),
        json.dumps([options, versions(), yosys and yosys.source]),
    ]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _unchanged(out: Path, made_from: str) -> Project | None:
    """The project at `out` if it was made from the same and nothing in it was changed."""
    try:
        there = load(out)
    except FpgaError:
        return None
    same = there.description.get("made_from") == made_from and not there.changed_files()
    return there if same else None


def sweep(folder: Path, prefix: str) -> None:
    """Remove folders PREFIX + process number that killed runs left; running ones keep theirs."""
    for left in folder.glob(f"{prefix}*"):
        number = left.name.removeprefix(prefix)
        if number.isdigit() and not Path(f"/proc/{number}").exists():
            shutil.rmtree(left, ignore_errors=True)


def _description(
    state_path: Path, loaded: state.State, line: tracer.Pipeline, clock_mhz: float, part: str
) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "version": VERSION,
        "top": TOP,
        "architecture": loaded.header.get("architecture"),
        "class_names": list(loaded.class_names),
        "state_sha256": file_digest(state_path),
        "latency_cycles": line.latency_cycles,
        "initiation_interval": 1,
        "stages": line.stages,
        "stage_delay": line.stage_delay,
        "stage_delay_unit": f"delay units of the tracer, {tracer.version()}; a short adder is about 1.2",
        "assumed_clock_mhz": clock_mhz,
        "latency_ns": line.latency_cycles * 1000 / clock_mhz,
        "register_bits": line.register_bits,
        "part": part,
        "versions": versions(),
    }


def _write(
    folder: Path, state_path: Path, line: tracer.Pipeline, ports: Ports, description: dict[str, Any]
) -> None:
    (folder / "verilog").mkdir(parents=True)
    files = tracer.verilog(line, CORE)
    files[f"{TOP}.v"] = top_level(ports, line.input_formats(), line.output_formats(), line.latency_cycles)
    files[f"{wrappers.AXIS}.v"] = wrappers.axis(ports, line.latency_cycles)
    for name, text in files.items():
        (folder / "verilog" / name).write_text(text)
    if description["multipliers"] != "auto":
        multiplier = folder / "verilog" / "multiplier.v"
        multiplier.write_text(
            tracer.with_multipliers_in(multiplier.read_text(), description["multipliers"] == "dsp")
        )
    part, clock = description["part"], description["assumed_clock_mhz"]
    _write_texts(
        folder,
        {
            f"vhdl/{TOP}_vhdl.vhd": wrappers.vhdl(ports, line.latency_cycles),
            "vivado/constraints.xdc": wrappers.constraints(clock),
            "vivado/build.tcl": wrappers.vivado_build(part),
            "vivado/package_ip.tcl": wrappers.vivado_package(part),
            **{f"hls/{name}": text for name, text in hls.texts(line.program, clock, part).items()},
        },
    )
    (folder / "ports.json").write_text(json.dumps(ports.as_json(), indent=1))
    (folder / "ports.md").write_text(ports.as_markdown(line.latency_cycles))
    tracer.save(line.program, folder / "program.json.gz")
    shutil.copyfile(state_path, folder / "state.safetensors")
    written = sorted(path for path in folder.rglob("*") if path.is_file())
    description["files"] = {str(path.relative_to(folder)): file_digest(path) for path in written}
    (folder / "project.json").write_text(json.dumps(description, indent=1))


def _write_texts(folder: Path, texts: dict[str, str]) -> None:
    for name, text in texts.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)


def _move(partial: Path, out: Path) -> None:
    """Put the new folder in the place of the old one."""
    old = out.with_name(f".{out.name}.old-{os.getpid()}")
    if out.exists():
        os.replace(out, old)
    os.replace(partial, out)
    shutil.rmtree(old, ignore_errors=True)
