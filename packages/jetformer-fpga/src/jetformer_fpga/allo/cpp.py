"""Compiles and runs the C++ that Allo writes, without Vitis: a C++ compiler and the open headers of `ap_int`."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from .. import tools, tracer
from ..errors import ToolError
from ..fixed_point import Codes
from .source import Argument

HEADERS = "JETFORMER_AP_TYPES"
# Headers of Vitis that the written code includes and does not use.
UNUSED = ("ap_axi_sdata.h", "hls_math.h", "hls_stream.h", "hls_vector.h")


def pragmas(code: str) -> dict[str, int]:
    """How often each pragma stands there: pipeline, dataflow, array_partition, ..."""
    return dict(sorted(Counter(re.findall(r"#pragma HLS (\w+)", code)).items()))


def headers() -> Path:
    """The folder of ap_int.h: `JETFORMER_AP_TYPES`, else that of the tracer."""
    named = os.environ.get(HEADERS)
    if named is None:
        return tracer.cpp_headers()
    if not (Path(named) / "ap_int.h").exists():
        raise ToolError(f"{HEADERS} names {named}, where no ap_int.h is.")
    return Path(named)


def run(folder: Path, include: Path, arguments: Sequence[Argument], inputs: Mapping[str, Codes]) -> None:
    """kernel.cpp of the folder on every jet; the logits go to hls.npy. Raises ToolError."""
    jets = len(inputs[arguments[0].name])
    stubs = folder / "headers"
    stubs.mkdir(exist_ok=True)
    for name in UNUSED:
        if not (include / name).exists():
            (stubs / name).write_text("#pragma once\n#include <cmath>\n")
    (folder / "main.cpp").write_text(bench(arguments))
    for argument in arguments[:-1]:
        (folder / f"{argument.name}.bin").write_bytes(_stored(inputs[argument.name], argument))
    flags = ["-std=c++14", "-O1", "-w", "-fno-strict-aliasing", f"-I{stubs}", f"-I{include}"]
    tools.compiler().run(*flags, "main.cpp", "-o", "network", cwd=folder)
    tools.Tool((str(folder / "network"),), "", "").run(str(jets), cwd=folder)
    last = arguments[-1]
    logits = np.fromfile(folder / "logits.bin", dtype=f"<i{last.bits // 8}")
    np.save(folder / "hls.npy", logits.reshape(jets, *last.shape).astype(np.int64))


def _stored(codes: Codes, argument: Argument) -> bytes:
    return np.ascontiguousarray(codes).astype(f"<i{argument.bits // 8}").tobytes()


def bench(arguments: Sequence[Argument]) -> str:
    """Reads jets from files, calls `top` once a jet, writes its logits."""
    declared = [
        f"    static std::int{a.bits}_t {a.name}{''.join(f'[{n}]' for n in a.shape)};" for a in arguments
    ]
    opened = [f'    std::FILE* {a.name}_file = std::fopen("{a.name}.bin", "rb");' for a in arguments[:-1]]
    read = [
        f"        if (std::fread({a.name}, sizeof {a.name}, 1, {a.name}_file) != 1) return 1;"
        for a in arguments[:-1]
    ]
    last = arguments[-1].name
    return "\n".join(
        [
            "#include <cstdint>",
            "#include <cstdio>",
            "#include <cstdlib>",
            '#include "kernel.cpp"',
            "",
            "int main(int, char** words) {",
            *declared,
            *opened,
            f'    std::FILE* out = std::fopen("{last}.bin", "wb");',
            "    for (long jet = std::atol(words[1]); jet > 0; --jet) {",
            *read,
            f"        top({', '.join(a.name for a in arguments)});",
            f"        std::fwrite({last}, sizeof {last}, 1, out);",
            "    }",
            "    return std::fclose(out);",
            "}",
            "",
        ]
    )
