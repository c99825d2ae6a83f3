"""Firmware of the states in a folder: accuracy, latency, resources, and verification over all jets of a file.

    JETFORMER_BENCH_STATES=states JETFORMER_BENCH_TAGGING_JETS=jets.h5 python ci/bench.py fpga designs

The folder holds fixed-point states, one .safetensors a design; its name is the design's. Projects stay in build/bench/fpga,
so that a second run measures only what changed. `accuracy_firmware` is that of the simulated circuit's own answers to the
test jets. LUT and DSP are those of multipliers in DSP; `lut_without_dsp` is LUT with all in LUT.
JETFORMER_BENCH_VERIFY_JETS limits the jets.
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
# A second simulator takes many minutes to read a circuit of more LUT than this.
ICARUS_JETS, ICARUS_LUT = 20, 100_000


def states() -> list[Path]:
    """The designs, by name."""
    return sorted(Path(os.environ[STATES]).glob("*.safetensors"))


def missing() -> str:
    """What is not set, in words."""
    unset = [name for name in (STATES, JETS) if name not in os.environ]
    return f"{' and '.join(unset)} not set: the folder of fixed-point states, and the jets" if unset else ""


def measure() -> dict[str, Any]:
    if missing():
        return {"skipped": missing()}
    FOLDER.mkdir(parents=True, exist_ok=True)
    found, refused = [], {}
    for path in states():
        try:
            found.append(_design(path))
            print(f"  {found[-1]}", flush=True)
        except FpgaError as error:
            refused[path.stem] = str(error)
            print(f"  {path.stem}: {error}", flush=True)
    return {"designs": found, "designs_refused": refused}


def _design(path: Path) -> dict[str, Any]:
    made = project.synth(path, FOLDER / path.stem)
    jets, limit = Path(os.environ[JETS]), int(os.environ.get(LIMIT, "0")) or None
    counts, timing = made.description["resources"], made.description
    icarus_jets = ICARUS_JETS if counts["lut"] < ICARUS_LUT else 0
    verdict = verification.verify(made.folder, jets, split="all", jets=limit, icarus_jets=icarus_jets)
    return {
        "name": path.stem,
        "constituents": made.state.constituents,
        "accuracy_firmware": _accuracy(made, jets),
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


def _accuracy(made: project.Project, jets: Path) -> float:
    """Of the answers to test jets that left the simulated circuit."""
    answers = load_file(str(made.folder / "answers.safetensors"))
    with Reader(jets) as reader:
        labels, test = reader.per_jet("labels"), file_mask(reader, "test")
    right = np.argmax(answers["logits"], axis=1) == labels[answers["jet_index"]]
    return float(right[test[answers["jet_index"]]].mean())
