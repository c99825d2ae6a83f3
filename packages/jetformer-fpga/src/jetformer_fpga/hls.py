"""The circuit as C++ for Vitis HLS, as the tracer prints its program, and what an ordinary compiler makes of it.

One function takes the features row by row, then the mask, and gives the answers, all as arbitrary-precision fixed-point
numbers: the same integers as the Verilog. Which cycle does what is for Vitis HLS to decide.
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import tools, tracer, wrappers
from .errors import ToolError
from .ports import TOP

FILES = (f"{TOP}.h", f"{TOP}.cpp", "csynth.tcl")
PROJECT, SOLUTION = "out.prj", "solution1"
# Unoptimised: the compiler's time, by far the longest, is spent on templates.
COMPILER_OPTIONS = ("-std=c++14", "-O0", "-w")


def texts(program: Any, clock_mhz: float, part: str) -> dict[str, str]:
    """Contents by name, of `FILES`."""
    inputs, outputs = program.shape
    code, input_type, answer_type = tracer.cpp(program, f"{TOP}_network")
    signature = f"void {TOP}(input_t inputs[{inputs}], answer_t answers[{outputs}])"
    header = f"""#pragma once
// One jet. Inputs: the features, constituent by constituent, then the mask (1: real constituent). See ../ports.md.
#include "ap_fixed.h"

typedef {input_type} input_t;
typedef {answer_type} answer_t;

{signature};
"""
    body = f"""#include "{TOP}.h"
{code}
{signature} {{
#pragma HLS ARRAY_PARTITION variable=inputs complete
#pragma HLS ARRAY_PARTITION variable=answers complete
#pragma HLS PIPELINE II=1
    {TOP}_network<input_t, answer_t>(inputs, answers);
}}
"""
    script = f"""# vitis_hls -f csynth.tcl
# C synthesis; its reports are in {PROJECT}/{SOLUTION}/syn/report. Run in this folder.
open_project -reset {PROJECT}
add_files {TOP}.cpp
set_top {TOP}
open_solution -reset {SOLUTION}
set_part {wrappers.full_part(part)}
create_clock -period {1000 / clock_mhz:.4f}
csynth_design
exit
"""
    return dict(zip(FILES, (header, body, script), strict=True))


def run(folder: Path, inputs: NDArray[np.float64], outputs: int) -> NDArray[np.float64]:
    """Answers `[jets, outputs]` of the C++ in a folder to real inputs `[jets, inputs]`, as an ordinary compiler builds it.

    Raises ToolError.
    """
    bench = f"""#include <cstdio>
#include "{TOP}.h"
int main() {{
    static double read[{inputs.shape[1]}], written[{outputs}];
    static input_t inputs[{inputs.shape[1]}];
    static answer_t answers[{outputs}];
    while (std::fread(read, sizeof read, 1, stdin) == 1) {{
        for (int n = 0; n < {inputs.shape[1]}; ++n) inputs[n] = read[n];
        {TOP}(inputs, answers);
        for (int n = 0; n < {outputs}; ++n) written[n] = answers[n].to_double();
        std::fwrite(written, sizeof written, 1, stdout);
    }}
}}
"""
    with tempfile.TemporaryDirectory() as name:
        main, program = Path(name) / "main.cpp", Path(name) / "program"
        main.write_text(bench)
        sources = [str(main), str(folder / f"{TOP}.cpp"), f"-I{folder}", f"-I{tracer.cpp_headers()}"]
        tools.compiler().run(*COMPILER_OPTIONS, *sources, "-o", str(program))
        rows = np.ascontiguousarray(inputs, dtype=np.float64)
        done = subprocess.run([str(program)], input=rows.tobytes(), capture_output=True, check=False)
    answers = np.frombuffer(done.stdout, dtype=np.float64)
    if done.returncode or answers.size != len(inputs) * outputs:
        raise ToolError(f"The compiled C++ stopped before the last jet (exit code {done.returncode}).")
    return answers.reshape(len(inputs), outputs)
