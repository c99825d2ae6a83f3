"""How many planted faults verification catches: in the network by the interpreter, in the Verilog in simulation.

    python ci/bench.py fpga planted_faults

In small JetFormers of random weights (two blocks for faults of the network), asked 1,000 jets and the corner vectors.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from jetformer_data import schema
from jetformer_data.testing import example_jets
from jetformer_fpga import faults, fusion, network, project, reference, state, tracer, vectors, verification
from jetformer_fpga.testing import random_state

ONE = {"attention_dims": (2,), "feedforward_dims": (3,), "weight_bits": 4, "activation_bits": 6}
TWO = {"attention_dims": (4, 2), "feedforward_dims": (3, 3)}
SEED = 4


def measure() -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        jets = folder / "jets.h5"
        schema.write(jets, example_jets(1000, seed=5, empty=20))
        caught = _in_network(folder, jets) | _in_verilog(folder, jets)
    return {
        "planted_faults": len(caught),
        "planted_faults_caught": sum(caught.values()),
        "planted_faults_by_kind": caught,
        "planted_faults_seed": SEED,
    }


def _in_network(folder: Path, jets: Path) -> dict[str, bool]:
    loaded = state.read(random_state(folder / "two", seed=SEED, constituents=3, embed_dim=4, **TWO))
    asked = vectors.of_file(loaded, jets, "all", None)[0] + vectors.corners(loaded)
    expected = reference.logits(loaded, asked.x, asked.mask)
    features = loaded.formats["features"].value(asked.x).reshape(len(asked), -1)
    inputs = np.concatenate([features, asked.mask], axis=1)

    def caught(fault: str) -> bool:
        wrong = fusion.fuse(faults.wrong_network(network.build(loaded), fault), project.TABLE_BITS)
        real = tracer.interpret(tracer.trace(wrong), inputs)
        return bool((np.ldexp(real, loaded.formats["logits"].f) != expected).any())

    return {fault: caught(fault) for fault in faults.IN_NETWORK}


def _in_verilog(folder: Path, jets: Path) -> dict[str, bool]:
    path = random_state(folder / "one", seed=3, constituents=3, embed_dim=4, **ONE)
    made = project.synth(path, folder / "firmware", measure_resources=False)
    caught = {}
    for number, fault in enumerate(faults.IN_VERILOG):
        copy = folder / f"fault{number}"
        shutil.copytree(made.folder, copy)
        faults.break_verilog(copy / "verilog", fault)
        caught[fault] = not verification.verify(copy, jets, split="all").passed
    return caught
