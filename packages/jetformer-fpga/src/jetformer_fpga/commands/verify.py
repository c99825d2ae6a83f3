"""`jetformer-fpga verify`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from .. import verification
from ..errors import FpgaError
from .application import Again, AsJson, Firmware, Split, app, task


@app.command()
def verify(
    folder: Firmware,
    data: Annotated[Path, typer.Option(help="Jets (array schema, HDF5).")],
    split: Split = "test",
    jets: Annotated[int | None, typer.Option(help="At most so many jets; default all of the split.")] = None,
    logits: Annotated[
        Path | None,
        typer.Option(help="Answers of the quantised PyTorch network (safetensors: logits, jet_index)."),
    ] = None,
    icarus: Annotated[
        int, typer.Option(min=0, help="Simulate so many jets in Icarus Verilog, too, where it is on PATH.")
    ] = 0,
    stream: Annotated[bool, typer.Option("--stream", help="Verify the AXI4-Stream wrapper, too.")] = False,
    hls: Annotated[
        int,
        typer.Option(min=0, help="Compile the C++ for HLS and compare so many jets, too: minutes, if large."),
    ] = 0,
    again: Again = False,
    as_json: AsJson = False,
) -> None:
    """jetformer-fpga verify firmware --data jets.h5

    Compare PyTorch, the integer reference, the tracer's interpreter and the circuit in simulation, bit by bit.
    """
    result = verification.verify(
        folder,
        data,
        split=split,
        jets=jets,
        logits=logits,
        icarus_jets=icarus,
        stream=stream,
        hls_jets=hls,
        again=again,
        task=task,
    )
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
    table.add_row("Icarus Verilog", "", "", result.icarus)
    table.add_row("jets", f"{result.verified_jets:,}", "", f"and {result.corner_vectors} corner vectors")
    if result.accuracy is not None:
        table.add_row("accuracy", "", "", f"{result.accuracy:.2%} of the jets (split: {result.split})")
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
                f"{leg.largest_difference} least significant bits; the first is {leg.first_mismatch}"
                f"{f'; {leg.first_layer}' if leg.first_layer else ''}."
            )
    return (
        f"The circuit's timing is not as promised: latency {result.latency_cycles} (by answers {result.latency_by_answers}) "
        f"instead of {result.promised_latency_cycles} cycles, initiation interval {result.initiation_interval}, "
        f"{result.valid_faults} faults of valid_out."
    )
