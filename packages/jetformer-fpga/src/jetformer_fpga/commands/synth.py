"""`jetformer-fpga synth`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from .. import project
from ..errors import FpgaError
from .allo import synth_allo
from .application import AsJson, ClockMhz, StateFile, app, task


@app.command()
def synth(
    state: StateFile,
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
    clock_mhz: ClockMhz = project.CLOCK_MHZ,
    part: Annotated[str, typer.Option(help="FPGA whose resources are the 100 %.")] = "xcvu13p",
    multipliers: Annotated[
        str, typer.Option(help="Where products of signals go: lut, dsp, or auto (the tools decide).")
    ] = "auto",
    output: Annotated[
        str, typer.Option(help="What leaves the circuit: logits, argmax (a class index), log-probabilities.")
    ] = "logits",
    resources: Annotated[bool, typer.Option(help="Count LUT, FF, DSP and BRAM with Yosys.")] = True,
    backend: Annotated[str, typer.Option(help="rtl (Verilog) or allo (HLS C++ through Allo).")] = "rtl",
    mode: Annotated[
        str, typer.Option(help="Of --backend allo: llvm, hls, csim, csyn, sw_emu, hw_emu or hw.")
    ] = "llvm",
    data: Annotated[
        Path | None, typer.Option(help="Of --backend allo: jets to compare on; else random.")
    ] = None,
    jets: Annotated[int, typer.Option(help="Of --backend allo: how many jets to compare.")] = 1000,
    as_json: AsJson = False,
) -> None:
    """jetformer-fpga synth fixed.safetensors --out firmware

    Turn a fixed-point state into pipelined Verilog that takes a new jet in every clock cycle.
    """
    if backend == "allo":
        return synth_allo(state, out, mode, data, jets, clock_mhz, part, as_json)
    if backend != "rtl":
        raise FpgaError(f"backend '{backend}' is not known; expected rtl or allo.")
    made = project.synth(
        state,
        out,
        stage_delay=stage_delay,
        stages=stages,
        clock_mhz=clock_mhz,
        part=part,
        multipliers=multipliers,
        output=output,
        measure_resources=resources,
        task=task,
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
        for place, there in found["multipliers_in"].items():
            told = f"LUT {there['lut']:,}, DSP {there['dsp']:,}"
            table.add_row(f"with multipliers in {place.upper()}", told, "the same")
    return table
