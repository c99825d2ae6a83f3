"""Firmware of the states in a folder: accuracy, latency, resources, and verification over all jets of a file.

    JETFORMER_BENCH_TAGGING_JETS=jets.h5 python ci/bench.py fpga designs

The designs are fixed-point states that the benchmark of jetformer-compress made from the same jets, or all .safetensors of
the folder JETFORMER_BENCH_STATES, by name. Projects stay in build/bench/fpga, so that a second run measures only what
changed. `accuracy_firmware` is that of the simulated circuit's own answers to the test jets. LUT and DSP are those of
multipliers in DSP; `lut_without_dsp` is LUT with all in LUT. JETFORMER_BENCH_VERIFY_JETS limits the jets.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file

from jetformer_data.schema import Reader
from jetformer_data.splitting import file_mask
from jetformer_fpga import project, verification
from jetformer_fpga.errors import FpgaError

STATES, JETS, LIMIT = "JETFORMER_BENCH_STATES", "JETFORMER_BENCH_TAGGING_JETS", "JETFORMER_BENCH_VERIFY_JETS"
FOLDER = Path("build/bench/fpga")
MADE = {
    "tiny-8": "tiny-8-e200",
    "tiny-pruned-8": "tiny-pruned-8-e100",
    "tiny-one-bit-8": "tiny-one-bit-8-e250",
    "trigger-8": "trigger-24-8-front-2",
    "trigger-8-small": "trigger-24-8-front-3",
    "trigger-16": "trigger-32-16-front-3",
    "trigger-32": "trigger-24-32-front-2",
    "jedi-linear-8": "jedi-linear-32-8-front-3",
}
# A second simulator takes many minutes to read a circuit of more LUT than this.
ICARUS_JETS, ICARUS_LUT = 20, 100_000


def states() -> dict[str, Path]:
    """The designs."""
    if STATES in os.environ:
        return {path.stem: path for path in sorted(Path(os.environ[STATES]).glob("*.safetensors"))}
    made = {name: Path(f"build/bench/compress/{stem}.safetensors") for name, stem in MADE.items()}
    return {name: path for name, path in made.items() if path.exists()}


def jets() -> Path:
    """What they are asked, by default what the benchmark of jetformer-compress generates."""
    return Path(os.environ.get(JETS, "build/bench/tagging_jets.h5"))


def measure() -> dict[str, Any]:
    if not (states() and jets().exists()):
        return {
            "skipped": "no states: run the benchmark `compress` before, or set JETFORMER_BENCH_STATES and _TAGGING_JETS"
        }
    FOLDER.mkdir(parents=True, exist_ok=True)
    found, refused = [], {}
    for name, path in states().items():
        try:
            found.append(_design(name, path))
            print(f"  {found[-1]}", flush=True)
        except FpgaError as error:
            refused[name] = str(error)
            print(f"  {name}: {error}", flush=True)
    return {"designs": found, "designs_refused": refused}


def _design(name: str, path: Path) -> dict[str, Any]:
    made = project.synth(path, FOLDER / name)
    limit = int(os.environ.get(LIMIT, "0")) or None
    counts, timing = made.description["resources"], made.description
    icarus_jets = ICARUS_JETS if counts["lut"] < ICARUS_LUT else 0
    verdict = verification.verify(made.folder, jets(), split="all", jets=limit, icarus_jets=icarus_jets)
    return {
        "name": name,
        "constituents": made.state.constituents,
        "accuracy_firmware": _accuracy(made),
        "initiation_interval": verdict.initiation_interval,
        "latency_cycles": verdict.latency_cycles,
        "assumed_clock_mhz": timing["assumed_clock_mhz"],
        "latency_ns": verdict.latency_ns,
        **{name: counts[name] for name in ("lut", "ff", "dsp", "bram")},
        "lut_without_dsp": counts["multipliers_in"]["lut"]["lut"],
        "share": counts["share"],
        "part": counts["part"],
        "resource_source": counts["resource_source"],
        "verified_jets": verdict.verified_jets,
        "mismatches": verdict.mismatches,
        "passed": verdict.passed,
        "legs": {leg.name: leg.compared for leg in verdict.legs},
    }


def _accuracy(made: project.Project) -> float:
    """Of the answers to test jets that left the simulated circuit."""
    answers = load_file(str(made.folder / "answers.safetensors"))
    with Reader(jets()) as reader:
        labels, test = reader.per_jet("labels"), file_mask(reader, "test")
    right = np.argmax(answers["logits"], axis=1) == labels[answers["jet_index"]]
    return float(right[test[answers["jet_index"]]].mean())
