"""Compiles the circuit with Verilator and plays stimuli into it, clock cycle by clock cycle."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from importlib.resources import files
from os import cpu_count, getpid, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from . import tools
from .errors import ToolError
from .ports import TOP, Field, Port, Ports

Progress = Callable[[int, int], None]
RESET, VALID = 1, 2
GROUP_BYTES = 1_500_000
PATIENCE = 0.5  # seconds between looks at how far a simulation is
BENCH, PORTS_HEADER = "testbench.cpp", "testbench_ports.hpp"
# Lint is the tracer's business; what could change meaning stays fatal: unsized or multiple drivers, latches, loops.
VERILATOR_OPTIONS = (
    "--cc", "-O3", "--x-assign", "fast", "--x-initial", "fast", "--noassert", "-Wno-lint", "-Wno-style",
    "--output-split", "20000", "--output-split-cfuncs", "2000",
)  # fmt: skip
# Unoptimised: 2,000 jets take a quarter of a second even so, which no optimisation could repay.
COMPILER_OPTIONS = (
    "-std=c++20",
    "-O0",
    "-w",
    "-DVL_TIME_CONTEXT",
    "-DVM_COVERAGE=0",
    "-DVM_TRACE=0",
    "-DVM_SC=0",
)


def fingerprint(verilog: Path) -> str:
    """What the executable depends on: the Verilog, the test bench, the tools and their options."""
    digest = hashlib.sha256()
    for path in sorted(verilog.glob("*.v")):
        digest.update(path.read_bytes())
    for name in (BENCH, PORTS_HEADER):
        digest.update((files(__package__) / name).read_bytes())
    digest.update(
        " ".join(
            [tools.verilator().source, tools.compiler().source, *VERILATOR_OPTIONS, *COMPILER_OPTIONS]
        ).encode()
    )
    return digest.hexdigest()


def compile_circuit(
    verilog: Path,
    work: Path,
    progress: Progress = lambda done, total: None,
    *,
    top: str = TOP,
    bench: str = BENCH,
    answers: str = "logits",
) -> Path:
    """The executable test bench of the Verilog files in a folder; `work` takes the intermediate files.

    `answers` is the name of the port at which answers leave.
    """
    verilator, compiler = tools.verilator(), tools.compiler()
    assert verilator.root is not None
    work.mkdir(parents=True, exist_ok=True)
    sources = sorted(str(path.resolve()) for path in verilog.glob("*.v"))
    progress(0, 1)
    verilator.run(*VERILATOR_OPTIONS, "--top-module", top, "--Mdir", str(work.resolve()), *sources)
    include = verilator.root / "include"
    options = [
        *COMPILER_OPTIONS,
        f"-DANSWERS={answers}",
        f"-I{work}",
        f"-I{include}",
        f"-I{include / 'vltstd'}",
    ]
    for name in (bench, PORTS_HEADER):
        (work / name).write_bytes((files(__package__) / name).read_bytes())
    units = _grouped([*sorted(work.glob("V*.cpp")), work / bench], work)

    def build(unit: Path) -> str:
        target = work / f"{unit.stem}.o"
        compiler.run(*options, "-c", str(unit), "-o", str(target))
        return str(target)

    objects = _runtime(verilator, compiler, options)
    with ThreadPoolExecutor(cpu_count() or 1) as pool:
        for done, name in enumerate(pool.map(build, units), start=1):
            objects.append(name)
            progress(done, len(units))
    executable = work / "testbench"
    compiler.run(*objects, "-pthread", "-o", str(executable))
    return executable


def _grouped(units: list[Path], work: Path) -> list[Path]:
    """Small units compiled as one: each spends a second on Verilator's headers alone."""
    groups: list[list[Path]] = [[]]
    size = 0
    for unit in units:
        if groups[-1] and size + unit.stat().st_size > GROUP_BYTES:
            groups.append([])
            size = 0
        groups[-1].append(unit)
        size += unit.stat().st_size
    paths = []
    for number, group in enumerate(groups):
        paths.append(work / f"group{number}.cpp")
        paths[-1].write_text("".join(f'#include "{unit.resolve()}"\n' for unit in group))
    return paths


def _runtime(verilator: tools.Tool, compiler: tools.Tool, options: list[str]) -> list[str]:
    """Verilator's own library, the same for every circuit: compiled once and kept."""
    assert verilator.root is not None
    key = "\0".join([verilator.source, compiler.source, *COMPILER_OPTIONS])
    folder = tools.cache_folder("verilator") / hashlib.sha256(key.encode()).hexdigest()
    objects = []
    for name in ("verilated", "verilated_threads"):
        target = folder / f"{name}.o"
        if not target.is_file():
            folder.mkdir(parents=True, exist_ok=True)
            partial = folder / f".{name}.{getpid()}.o"
            compiler.run(*options, "-c", str(verilator.root / "include" / f"{name}.cpp"), "-o", str(partial))
            replace(partial, target)
        objects.append(str(target))
    return objects


def rows_of(
    ports: Ports, control: NDArray[np.uint32], features: NDArray[np.int64], mask: NDArray[np.bool_]
) -> NDArray[np.uint32]:
    """What test benches read, one row of 32-bit words a clock cycle: control, features, mask, each from a new word on."""
    inputs = ports.features.pack(features), ports.mask.pack(mask.astype(np.int64))
    return np.concatenate([control[:, None].astype("<u4"), *inputs], axis=1)


def play(
    executable: Path,
    ports: Ports,
    control: NDArray[np.uint32],
    features: NDArray[np.int64],
    mask: NDArray[np.bool_],
    work: Path,
    progress: Progress = lambda done, total: None,
) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """One clock cycle a row: control `[cycles]` (RESET, VALID), codes of the features `[cycles, P * F]`, mask `[cycles, P]`.

    Returns valid_out `[cycles]` and the codes of the logits `[cycles, C]` as they stand in each cycle.
    """
    rows = rows_of(ports, control, features, mask)
    stimuli, answers = work / "stimuli.bin", work / "answers.bin"
    stimuli.write_bytes(np.ascontiguousarray(rows, dtype="<u4").tobytes())
    command = [str(executable), str(stimuli), str(answers)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as running:
        errors = None
        while errors is None:
            with suppress(subprocess.TimeoutExpired):
                errors = running.communicate(timeout=PATIENCE)[1]
            written = answers.stat().st_size if answers.exists() else 0
            progress(written // (4 + 4 * ports.answers.words), len(rows))
    if running.returncode:
        raise ToolError(
            f"The simulation stopped with exit code {running.returncode}: {errors.strip()[-200:]}"
        )
    out = np.fromfile(answers, dtype="<u4").reshape(-1, 1 + ports.answers.words)
    if len(out) != len(rows):
        raise ToolError(f"The simulation answered {len(out)} of {len(rows)} clock cycles.")
    return out[:, 0].astype(bool), ports.answers.unpack(out[:, 1:])


def stream(
    executable: Path,
    ports: Ports,
    features: NDArray[np.int64],
    mask: NDArray[np.bool_],
    work: Path,
    *,
    sender: int,
    receiver: int,
) -> NDArray[np.int64]:
    """Codes `[transfers, C]` that leave the AXI4-Stream wrapper; sender and receiver are willing in so many % of cycles."""
    packed = Port("stream", ports.features.fields + tuple(_moved(ports)))
    rows = packed.pack(np.concatenate([features, mask.astype(np.int64)], axis=1))
    jets, answers = work / "jets.bin", work / "answers.bin"
    jets.write_bytes(np.ascontiguousarray(rows, dtype="<u4").tobytes())
    cycles = len(features) * 20000 // (sender * receiver) + 1000
    command = [str(executable), str(jets), str(answers), str(cycles), str(sender), str(receiver)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        why = "an answer changed while it waited" if done.returncode == 3 else done.stderr.strip()[-200:]
        raise ToolError(f"The simulation of the stream stopped with exit code {done.returncode}: {why}")
    return ports.answers.unpack(np.fromfile(answers, dtype="<u4").reshape(-1, ports.answers.words))


def _moved(ports: Ports) -> list[Field]:
    """The mask's fields above the features."""
    above = ports.features.width
    return [Field(field.name, field.kif, field.low_bit + above) for field in ports.mask.fields]
