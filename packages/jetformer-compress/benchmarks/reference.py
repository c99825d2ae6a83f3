"""Whether quantised PyTorch and the independent numpy int64 reference of jetformer-fpga agree on every bit.

    JETFORMER_BENCH_TAGGING_JETS=jets.h5 python ci/bench.py compress reference

10,000 jets through each kind of network, quantised by calibration.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pruned import jets_file

from jetformer_compress import Widths
from jetformer_compress.quantisation import post_training
from jetformer_fpga import reference
from jetformer_fpga.fixed_point import quantise_real
from jetformer_fpga.state import read
from jetformer_model.dataset import tagging_data
from jetformer_model.state import State, save
from jetformer_model.taggers import build
from jetformer_model.training import predict

JETS, CONSTITUENTS = 10_000, 8
NETWORKS = ("jetformer-tiny", "trigger-8", "jedi-linear", "deep-sets", "mlp-tiny", "mlp-mixer")


def measure() -> dict[str, Any]:
    data = tagging_data(jets_file(), constituents=CONSTITUENTS)
    jets = data.train.head(JETS)
    checked, mismatches = 0, {}
    for name in NETWORKS:
        network = build(name, data.inputs, constituents=CONSTITUENTS, classes=len(data.class_names)).eval()
        state = State(network, data.inputs, data.class_names)
        state = dataclasses.replace(state, network=post_training(state, data.train, Widths()))
        with TemporaryDirectory() as folder:
            path = Path(folder) / "fixed.safetensors"
            save(path, state)
            fixed = read(path)
        codes = quantise_real(jets.x.double().numpy(), fixed.formats["features"])
        found = fixed.formats["logits"].value(reference.logits(fixed, codes, jets.mask.numpy()))
        mismatches[name] = int((found != predict(state.network, jets)).any(1).sum())
        checked += len(jets)
    return {
        "reference_jets_checked": checked,
        "reference_mismatches": sum(mismatches.values()),
        "reference_mismatches_by_network": mismatches,
    }
