"""Four-way equality: quantised PyTorch, the numpy int64 reference, the tracer's interpreter, and Verilog in Verilator.

Every leg answers the same jets and corner vectors with integers; a difference anywhere is a mismatch. The circuit is given
a new jet in every clock cycle. Its latency is measured twice: from `valid_in` to `valid_out`, and by the cycle in which
the right answers stand at the outputs, whatever `valid_out` says.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from . import (
    answers,
    cross_checks,
    divergence,
    hls,
    project,
    reference,
    simulation,
    state,
    streaming,
    tools,
    tracer,
    vectors,
)
from .errors import FpgaError, ToolError
from .fixed_point import Codes, Format
from .project import Project, Task
from .streaming import Timing

STREAMED = 1000  # jets through the AXI4-Stream wrapper


@dataclass(frozen=True)
class Leg:
    """One implementation against the reference. Differences are in least significant bits of the answers.

    `first_layer`: where its numbers part from the reference's, as far as they can be looked at.
    """

    name: str
    compared: int
    mismatches: int
    first_mismatch: str
    largest_difference: int
    first_layer: str = ""


@dataclass(frozen=True)
class Verification:
    """`accuracy`: of the simulated circuit on these jets of `split`; None where the file has other classes."""

    verified_jets: int
    split: str
    accuracy: float | None
    corner_vectors: int
    mismatches: int
    legs: tuple[Leg, ...]
    pytorch: str
    icarus: str
    latency_cycles: int | None
    latency_by_answers: int | None
    initiation_interval: float | None
    valid_faults: int
    promised_latency_cycles: int
    assumed_clock_mhz: float
    latency_ns: float | None
    changed_files: list[str]
    versions: dict[str, str]

    @property
    def passed(self) -> bool:
        """Equal in every bit, and as fast as promised."""
        timing = self.latency_cycles == self.latency_by_answers == self.promised_latency_cycles
        return self.mismatches == 0 and self.valid_faults == 0 and timing and self.initiation_interval == 1

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"passed": self.passed}


def verify(
    folder: str | Path,
    data: str | Path,
    *,
    split: str = "test",
    jets: int | None = None,
    logits: str | Path | None = None,
    icarus_jets: int = 0,
    stream: bool = False,
    hls_jets: int = 0,
    again: bool = False,
    task: Task = project.silent,
) -> Verification:
    """Compare the four legs on jets of a file and on corner vectors.

    Writes `verification.json` into the project, and `answers.safetensors`: the simulated circuit's `logits` float64
    `[jets, C]` (or what else its answers are) with their `jet_index`, so that the firmware itself can be scored.
    With `icarus_jets`, so many of the jets also go through Icarus Verilog; with `stream`, a thousand through the wrapper;
    with `hls_jets`, so many through the C++ for HLS, as a C++ compiler builds it.
    `logits` is a safetensors file with the answers of the quantised PyTorch network: `logits` float64 `[jets, C]` and
    `jet_index` int64 `[jets]`, positions in `data`. Without it the installed jetformer-model is asked; where neither is to
    be had, three legs are compared and the result says so. Where the same circuit passed with the same jets, options and
    tools before, that verdict is given back at once, unless `again`. Raises FpgaError.
    """
    loaded = project.load(folder)
    if jets is not None and jets < 1:
        raise FpgaError(f"jets: expected at least 1, got {jets}.")
    made_from = _made_from(loaded, data, logits, [split, jets, icarus_jets, stream, hls_jets])
    if not again and (known := _known(loaded, made_from)) is not None:
        return known
    of_jets, positions = vectors.of_file(loaded.state, data, split, jets)
    corners = vectors.corners(loaded.state)
    asked = corners + of_jets
    with task("reference") as progress:
        expected = reference.logits(loaded.state, asked.x, asked.mask, progress)
    legs, pytorch = [], ""
    with task("PyTorch"):
        answered, rows, pytorch = _pytorch(loaded, asked, positions, len(corners), logits)
    if answered is not None:
        legs.append(
            compare("PyTorch", answered, expected[rows], [asked.names[row] for row in rows], loaded.state)
        )
    with task("interpreter"):
        answered = interpret(loaded, asked)
    legs.append(_judged("interpreter", loaded, asked, answered, expected))
    with task("compiling the circuit") as progress:
        executable = _executable(loaded, progress)
    with task("simulation") as progress:
        play = partial(simulation.play, executable, progress=progress)
        answered, timing = streaming.simulate(loaded, play, asked, expected)
    legs.append(_judged("Verilog", loaded, asked, answered, expected))
    second = "not asked for"
    if icarus_jets:
        with task("Icarus Verilog"):
            sample = slice(0, len(corners) + icarus_jets)
            second = _second(loaded, asked.rows(range(len(asked))[sample]), expected[sample], legs)
    if stream:
        with task("AXI4-Stream wrapper"):
            sample = slice(0, len(corners) + STREAMED)
            legs.append(_streamed(loaded, asked.rows(range(len(asked))[sample]), expected[sample]))
    if hls_jets:
        with task("C++ for HLS"):
            sample = slice(0, len(corners) + hls_jets)
            legs.append(_compiled(loaded, asked.rows(range(len(asked))[sample]), expected[sample]))
    codes = answered[len(corners) :]
    labels = vectors.labels_of(loaded.state, data, positions)
    right = None if labels is None else float((answers.classes(loaded.state, codes) == labels).mean())
    counted = {"verified_jets": len(codes), "split": split, "accuracy": right, "corner_vectors": len(corners)}
    result = _summary(loaded, counted, legs, (pytorch, second), timing)
    _store(loaded, result, codes, positions, made_from)
    return result


def _judged(name: str, loaded: Project, asked: vectors.Vectors, codes: Codes, expected: Codes) -> Leg:
    """A leg, and the first layer where its numbers are others than the reference's."""
    leg = compare(name, codes, expected, asked.names, loaded.state)
    if not leg.mismatches:
        return leg
    first = int(np.flatnonzero((codes != expected).any(axis=1))[0])
    others = np.flatnonzero(np.arange(len(asked)) != first)[: divergence.JETS]
    look = divergence.in_interpreter if name == "interpreter" else divergence.in_verilog
    return replace(leg, first_layer=look(loaded, asked.rows([first, *others])))


def _second(loaded: Project, asked: vectors.Vectors, expected: Codes, legs: list[Leg]) -> str:
    """Adds the leg of Icarus Verilog; in words what it is, or why it isn't there."""
    try:
        codes, timing = cross_checks.by_icarus(loaded, asked, expected)
    except ToolError as error:
        return f"not compared: {error}"
    leg = _judged("Icarus Verilog", loaded, asked, codes, expected)
    legs.append(replace(leg, mismatches=leg.mismatches + timing.valid_faults))
    found = tools.icarus()
    assert found is not None
    return f"{found.source}: {len(asked)} inputs, latency {timing.latency_cycles} cycles"


def _streamed(loaded: Project, asked: vectors.Vectors, expected: Codes) -> Leg:
    codes = cross_checks.by_stream(loaded, asked)
    turns = len(codes) // len(asked)
    return compare("AXI4-Stream", codes, np.tile(expected, (turns, 1)), asked.names * turns, loaded.state)


def _compiled(loaded: Project, asked: vectors.Vectors, expected: Codes) -> Leg:
    real = hls.run(loaded.folder.resolve() / "hls", _real(loaded, asked), loaded.state.outputs)
    codes = _on_grid(real, loaded.state.formats["logits"], "the C++ for HLS")
    return compare("C++ for HLS", codes, expected, asked.names, loaded.state)


def _made_from(loaded: Project, data: str | Path, logits: str | Path | None, options: list[Any]) -> str:
    """Of everything that decides the verdict."""
    with contextlib.suppress(OSError):
        files = [
            project.file_digest(Path(path)) for path in (loaded.folder / "project.json", data, logits) if path
        ]
        found = {name: bool(importlib.util.find_spec(name)) for name in ("jetformer_model",)}
        parts = [*files, project.code_digest(), json.dumps([options, found, _tools()])]
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()
    return ""


def _known(loaded: Project, made_from: str) -> Verification | None:
    """The verdict on the same circuit, jets and options, if it passed and nothing was changed since."""
    verdict = loaded.folder / "verification.json"
    if not made_from or not verdict.is_file() or not (loaded.folder / "answers.safetensors").is_file():
        return None
    stored = json.loads(verdict.read_text())
    if stored.get("made_from") != made_from or not stored["passed"] or loaded.changed_files():
        return None
    fields = {field.name: stored[field.name] for field in dataclasses.fields(Verification)}
    return Verification(**fields | {"legs": tuple(Leg(**leg) for leg in stored["legs"])})


def _store(
    loaded: Project, result: Verification, codes: Codes, positions: NDArray[np.int64], made_from: str
) -> None:
    """The circuit's answers to the jets as `answers.safetensors`, then the verdict as `verification.json`."""
    values = np.ascontiguousarray(loaded.state.formats["logits"].value(codes))
    place, verdict = loaded.folder / "answers.safetensors", loaded.folder / "verification.json"
    save_file({loaded.ports.answers.name: values, "jet_index": positions}, str(place.with_suffix(".partial")))
    os.replace(place.with_suffix(".partial"), place)
    verdict.with_suffix(".partial").write_text(
        json.dumps(result.as_json() | {"made_from": made_from}, indent=1)
    )
    os.replace(verdict.with_suffix(".partial"), verdict)


def compare(
    name: str, codes: Codes, expected: Codes, names: list[str] | tuple[str, ...], state: state.State
) -> Leg:
    """Codes `[rows, C]` of a leg against the reference's."""
    difference = codes - expected
    wrong = (difference != 0).any(axis=1)
    first = ""
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        column = int(np.flatnonzero(difference[row])[0])
        first = (
            f"{names[row]}, {answers.names(state)[1][column]}: {int(codes[row, column])} instead of "
            f"{int(expected[row, column])} (in least significant bits)"
        )
    return Leg(name, len(codes), int(wrong.sum()), first, int(np.abs(difference).max(initial=0)))


def interpret(loaded: Project, asked: vectors.Vectors) -> Codes:
    """The tracer's interpreter on the program that was printed as Verilog."""
    real = tracer.interpret(loaded.program(), _real(loaded, asked))
    return _on_grid(real, loaded.state.formats["logits"], "the interpreter")


def _real(loaded: Project, asked: vectors.Vectors) -> NDArray[np.float64]:
    """What the tracer's program takes, as numbers `[rows, inputs]`: features, then mask."""
    features = loaded.state.formats["features"].value(asked.x).reshape(len(asked), -1)
    return np.concatenate([features, asked.mask], axis=1)


def _on_grid(real: NDArray[Any], fmt: Format, whose: str) -> Codes:
    codes = np.ldexp(np.asarray(real, dtype=np.float64), fmt.f)
    if not (np.isfinite(codes).all() and (codes == np.rint(codes)).all()):
        raise FpgaError(f"The logits of {whose} don't lie on the grid of 'logits'; is it the same state?")
    return codes.astype(np.int64)


def _pytorch(
    loaded: Project,
    asked: vectors.Vectors,
    positions: NDArray[np.int64],
    corners: int,
    file: str | Path | None,
) -> tuple[Codes | None, NDArray[np.int64], str]:
    """The codes of the PyTorch leg, the rows that they answer, and in words where they come from."""
    network = state.read(loaded.state_path)
    fmt = network.formats["logits"]

    def answered(real: NDArray[Any], whose: str) -> Codes:
        return answers.of_logits(network, loaded.state, _on_grid(real, fmt, whose))

    if file is not None:
        found, index = _stored_logits(Path(file), len(network.class_names))
        place = {int(position): row for row, position in enumerate(index)}
        rows = np.array(
            [row for row, position in enumerate(positions) if int(position) in place], dtype=np.int64
        )
        if not rows.size:
            raise FpgaError(f"{file}: none of its jets is among the jets compared here; check its jet_index.")
        chosen = found[[place[int(positions[row])] for row in rows]]
        return (
            answered(chosen, str(file)),
            rows + corners,
            f"{file}: {rows.size} jets, no corner vectors",
        )
    if importlib.util.find_spec("jetformer_model") is None:
        words = "not compared: jetformer-model is not installed here and no --logits were given; three of four legs are"
        return None, np.zeros(0, dtype=np.int64), words
    real = _ask_model(loaded, asked)
    return (
        answered(real, "jetformer-model"),
        np.arange(len(asked)),
        "jetformer-model in this environment",
    )


def _stored_logits(path: Path, classes: int) -> tuple[NDArray[Any], NDArray[Any]]:
    if not path.is_file():
        raise FpgaError(f"{path}: no such file.")
    try:
        arrays = load_file(str(path))
        logits, index = arrays["logits"], arrays["jet_index"]
    except (SafetensorError, KeyError) as error:
        raise FpgaError(
            f"{path}: expected a safetensors file with 'logits' and 'jet_index' ({error})."
        ) from None
    if logits.ndim != 2 or logits.shape[1] != classes or index.shape != logits.shape[:1]:
        raise FpgaError(
            f"{path}: expected logits (jets, {classes}) and jet_index (jets,), got {logits.shape}, {index.shape}."
        )
    return logits, index


def _ask_model(loaded: Project, asked: vectors.Vectors) -> NDArray[Any]:
    """jetformer-model in a process of its own: this package never imports torch."""
    with tempfile.TemporaryDirectory() as name:
        inputs, out = Path(name) / "inputs.safetensors", Path(name) / "logits.safetensors"
        save_file(
            {"inputs": np.ascontiguousarray(asked.values), "mask": np.ascontiguousarray(asked.mask)},
            str(inputs),
        )
        command = [
            sys.executable,
            "-m",
            "jetformer_model",
            "predict",
            str(inputs),
            "--model",
            str(loaded.state_path),
            "--out",
            str(out),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode or not out.is_file():
            words = (done.stderr or done.stdout).strip().splitlines()[-1:]
            raise FpgaError(
                f"jetformer-model could not answer ({' '.join(words)}); give its answers with --logits."
            )
        return np.asarray(load_file(str(out))["logits"])


def _executable(loaded: Project, progress: Any) -> Path:
    """The compiled circuit, kept in the project: it is compiled again when a Verilog file, the bench or a tool changed."""
    work = loaded.folder / "simulation"
    key = simulation.fingerprint(loaded.verilog)
    stamp = work / "fingerprint"
    if stamp.is_file() and stamp.read_text() == key and (work / "testbench").is_file():
        return work / "testbench"
    work.mkdir(exist_ok=True)
    stamp.unlink(missing_ok=True)
    project.sweep(work, "build-")
    build = work / f"build-{os.getpid()}"
    try:
        port = loaded.ports.answers.name
        built = simulation.compile_circuit(loaded.verilog, build, progress, answers=port)
        os.replace(built, work / "testbench")
    finally:
        shutil.rmtree(build, ignore_errors=True)
    stamp.write_text(key)
    return work / "testbench"


def _summary(
    loaded: Project, counted: dict[str, Any], legs: list[Leg], words: tuple[str, str], timing: Timing
) -> Verification:
    clock = float(loaded.description["assumed_clock_mhz"])
    return Verification(
        **counted,
        mismatches=sum(leg.mismatches for leg in legs),
        legs=tuple(legs),
        pytorch=words[0],
        icarus=words[1],
        **asdict(timing),
        promised_latency_cycles=int(loaded.description["latency_cycles"]),
        assumed_clock_mhz=clock,
        latency_ns=timing.latency_cycles * 1000 / clock if timing.latency_cycles is not None else None,
        changed_files=loaded.changed_files(),
        versions=_tools(),
    )


def _tools() -> dict[str, str]:
    found = {
        "verilator": tools.verilator().source,
        "c++": tools.compiler().source,
        "tracer": tracer.version(),
    }
    return project.versions() | found
