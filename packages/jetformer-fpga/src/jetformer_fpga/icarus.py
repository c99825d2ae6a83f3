"""Icarus Verilog as a second, independent simulator: an interpreter, slow, that also knows undefined values (x)."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from . import tools
from .errors import ToolError
from .fixed_point import Codes
from .ports import CORE, TOP, Ports
from .simulation import rows_of

UNDEFINED = -(1 << 40)  # no code of any format
WAVES = "waves.vcd"


def compile_circuit(verilog: Path, ports: Ports, cycles: int, work: Path, *, waves: bool = False) -> Path:
    """The compiled circuit in a bench that plays `cycles` rows; `waves` writes the registers between stages, too."""
    icarus = tools.icarus()
    if icarus is None:
        raise ToolError("Icarus Verilog is not on PATH; install it (on Debian: `apt install iverilog`).")
    (work / "bench.v").write_text(_bench(ports, cycles, waves))
    sources = sorted(str(path.resolve()) for path in verilog.glob("*.v") if path.stem != f"{TOP}_axis")
    compiled = work / "bench.vvp"
    icarus.run("-g2012", "-s", "bench", "-o", str(compiled), str(work / "bench.v"), *sources)
    return compiled


def play(
    verilog: Path,
    ports: Ports,
    control: NDArray[np.uint32],
    features: Codes,
    mask: NDArray[np.bool_],
    work: Path,
    *,
    waves: bool = False,
) -> tuple[NDArray[np.bool_], Codes]:
    """As `simulation.play`. An answer with undefined bits is UNDEFINED."""
    compiled = compile_circuit(verilog, ports, len(control), work, waves=waves)
    rows = rows_of(ports, control, features, mask)
    (work / "rows.hex").write_text("\n".join(row[::-1].astype(">u4").tobytes().hex() for row in rows))
    tool = tools.icarus()
    assert tool is not None
    command = [str(tool.root), "-n", str(compiled)]
    done = subprocess.run(command, cwd=work, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ToolError(f"Icarus Verilog stopped with exit code {done.returncode}: {done.stderr[-200:]}")
    lines = [line.split() for line in (work / "answers.txt").read_text().splitlines()]
    if len(lines) != len(rows):
        raise ToolError(f"Icarus Verilog answered {len(lines)} of {len(rows)} clock cycles.")
    return np.array([flag == "1" for flag, _ in lines]), _codes(ports, [bits for _, bits in lines])


def _codes(ports: Ports, answers: list[str]) -> Codes:
    """From binary digits, the highest first."""
    known = np.array([set(bits) <= {"0", "1"} for bits in answers])
    width = ports.answers.words * 32
    bits = np.zeros((len(answers), width), dtype=np.uint8)
    for row, text in enumerate(answers):
        digits = np.frombuffer(text[::-1].encode(), dtype=np.uint8)
        bits[row, : len(digits)] = digits == ord("1")
    codes = ports.answers.unpack(np.packbits(bits, axis=1, bitorder="little").view("<u4"))
    return np.where(known[:, None], codes, UNDEFINED)


def _bench(ports: Ports, cycles: int, waves: bool) -> str:
    """Outputs are read just before the rising edge that ends their cycle, as in the other test bench."""
    features, mask = ports.features, ports.mask
    width = 32 * (1 + features.words + mask.words)
    dump = f'$dumpfile("{WAVES}"); $dumpvars(1, circuit.core);' if waves else ""
    return f"""`timescale 1ns / 1ps
module bench;
    reg [{width - 1}:0] rows [0:{cycles - 1}];
    reg [{width - 1}:0] row;
    reg clk;
    integer cycle, out;
    wire valid_out;
    wire [{ports.answers.width - 1}:0] answers;
    {TOP} circuit (
        .clk(clk), .rst(row[0]), .valid_in(row[1]),
        .features(row[32 +: {features.width}]), .mask(row[{32 + 32 * features.words} +: {mask.width}]),
        .valid_out(valid_out), .{ports.answers.name}(answers)
    );  // circuit.core is {CORE}
    initial begin
        $readmemh("rows.hex", rows);
        out = $fopen("answers.txt");
        {dump}
        clk = 0;
        for (cycle = 0; cycle < {cycles}; cycle = cycle + 1) begin
            row = rows[cycle];
            #1 $fdisplay(out, "%b %b", valid_out, answers);
            clk = 1;
            #1 clk = 0;
        end
        $fclose(out);
        $finish;
    end
endmodule
"""
