"""The command `jetformer-fpga`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table

from jetformer_data.errors import DataError

from . import project, verification
from .errors import FpgaError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Fixed-point JetFormer states to pipelined Verilog, proven equal bit by bit.",
)
screen = Console(stderr=True)


@contextmanager
def _task(name: str) -> Iterator[Any]:
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=screen, transient=not screen.is_terminal) as bars:
        bar = bars.add_task(name, total=None)
        yield lambda done, total: bars.update(bar, completed=done, total=total)
        bars.update(bar, total=1, completed=1)


@app.command()
def synth(
    state: Annotated[Path, typer.Argument(help="Fixed-point state (.safetensors).")],
    out: Annotated[
        Path, typer.Option(help="Folder of the firmware project; an older project there is replaced.")
    ],
    stage_delay: Annotated[
        float,
        typer.Option(
            help="Longest delay of a clock cycle in the tracer's units; a short adder is about 1.2."
        ),
    ] = project.STAGE_DELAY,
    stages: Annotated[
        int | None, typer.Option(help="Clock cycles of logic at most, instead of --stage-delay.")
    ] = None,
    clock_mhz: Annotated[
        float, typer.Option(help="Assumed clock in MHz, for latency in ns; not a timing result.")
    ] = project.CLOCK_MHZ,
    part: Annotated[str, typer.Option(help="FPGA whose resources are the 100 %.")] = "xcvu13p",
    resources: Annotated[bool, typer.Option(help="Count LUT, FF, DSP and BRAM with Yosys.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print the project's description as JSON.")] = False,
) -> None:
    """jetformer-fpga synth fixed.safetensors --out firmware

    Turn a fixed-point state into pipelined Verilog that takes a new jet in every clock cycle.
    """
    made = project.synth(
        state,
        out,
        stage_delay=stage_delay,
        stages=stages,
        clock_mhz=clock_mhz,
        part=part,
        measure_resources=resources,
        task=_task,
    )
    if as_json:
        print(json.dumps(made.description, indent=1))
    else:
        Console().print(_synth_table(made.description))


def _synth_table(description: dict[str, Any]) -> Table:
    table = Table("quantity", "value", "source", title="Firmware project")
    clock = f"{description['assumed_clock_mhz']:g} MHz (assumed)"
    source = f"{description['stages']} stages of at most {description['stage_delay']:g} {description['stage_delay_unit']}"
    table.add_row(
        "latency",
        f"{description['latency_cycles']} cycles, {description['latency_ns']:.0f} ns",
        f"{source}; {clock}",
    )
    table.add_row("initiation interval", "1 cycle", "a register row after every stage")
    found = description.get("resources")
    if found:
        counts = (
            f"{name.upper()} {found[name]:,} ({found['share'][name]:.1%})"
            for name in ("lut", "ff", "dsp", "bram")
        )
        table.add_row(f"resources of {found['part']}", "\n".join(counts), found["resource_source"])
    return table


@app.command()
def verify(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Firmware project made by `synth`.")],
    data: Annotated[Path, typer.Option(help="Jets (array schema, HDF5).")],
    split: Annotated[str, typer.Option(help="train, validation, test or all.")] = "test",
    jets: Annotated[int | None, typer.Option(help="At most so many jets; default all of the split.")] = None,
    logits: Annotated[
        Path | None,
        typer.Option(help="Answers of the quantised PyTorch network (safetensors: logits, jet_index)."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """jetformer-fpga verify firmware --data jets.h5

    Compare PyTorch, the integer reference, the tracer's interpreter and the circuit in simulation, bit by bit.
    """
    result = verification.verify(folder, data, split=split, jets=jets, logits=logits, task=_task)
    if as_json:
        print(json.dumps(result.as_json(), indent=1))
    else:
        Console().print(_verify_table(result))
    if not result.passed:
        raise FpgaError(_fault(result))


def _verify_table(result: verification.Verification) -> Table:
    table = Table(
        "leg", "compared", "mismatches", "first mismatch", title="Against the numpy int64 reference"
    )
    for leg in result.legs:
        table.add_row(leg.name, f"{leg.compared:,}", f"{leg.mismatches:,}", leg.first_mismatch or "none")
    table.add_section()
    table.add_row("PyTorch", "", "", result.pytorch)
    table.add_row("jets", f"{result.verified_jets:,}", "", f"and {result.corner_vectors} corner vectors")
    timing = (
        f"{result.latency_cycles} cycles by valid_out, {result.latency_by_answers} by the answers themselves"
    )
    table.add_row(
        "latency", "", "", f"{timing}; {result.latency_ns} ns at {result.assumed_clock_mhz:g} MHz (assumed)"
    )
    table.add_row("initiation interval", "", "", f"{result.initiation_interval} cycles")
    if result.changed_files:
        table.add_row("changed since synth", "", "", ", ".join(result.changed_files))
    return table


def _fault(result: verification.Verification) -> str:
    for leg in result.legs:
        if leg.mismatches:
            return (
                f"{leg.name} differs from the reference on {leg.mismatches} of {leg.compared} inputs, by up to "
                f"{leg.largest_difference} least significant bits; the first is {leg.first_mismatch}."
            )
    return (
        f"The circuit's timing is not as promised: latency {result.latency_cycles} (by answers {result.latency_by_answers}) "
        f"instead of {result.promised_latency_cycles} cycles, initiation interval {result.initiation_interval}, "
        f"{result.valid_faults} faults of valid_out."
    )


def main() -> None:
    """The console script: a known error is one sentence on standard error and exit code 1."""
    try:
        app()
    except (FpgaError, DataError) as error:
        print(f"jetformer-fpga: {error}", file=sys.stderr)
        sys.exit(1)
