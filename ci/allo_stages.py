"""What the Allo backend does on this machine: python ci/allo_stages.py [FILE], by default build/bench/allo.json

Every network goes through each stage; one that can't run says why under `skipped`. Without Allo the generated programs are
executed by the package's own interpreter instead. Networks have random weights and were quantised after calibration alone;
`asked` is what their schedule asks for, `pragmas` what stands in Allo's C++.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from bench import conditions

from jetformer_compress import Widths
from jetformer_compress.quantisation import post_training
from jetformer_data.schema import write
from jetformer_data.testing import example_jets
from jetformer_fpga import reference, state
from jetformer_fpga.allo import driver, interpret, program
from jetformer_fpga.allo.jets import asked
from jetformer_fpga.errors import FpgaError, ToolError
from jetformer_model import State, save, tagging_data
from jetformer_model.config import preset
from jetformer_model.dataset import TaggingData
from jetformer_model.one_bit import OneBit, OneBitJetFormer
from jetformer_model.state import Network
from jetformer_model.taggers import build
from jetformer_model.testing import example_state

JETS = 1000
BATCHES = (1, 2, 16)
TARGET = Path(__file__).parents[1] / "build" / "bench" / "allo.json"


def main(target: Path) -> None:
    try:
        python, absent = driver.interpreter(), ""
    except ToolError as error:
        python, absent = "", str(error).replace(sys.executable, "this Python")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder / "jets.h5", example_jets(jets=600, seed=3))
        data = tagging_data(folder / "jets.h5", constituents=8)
        stages = [*integer_stages(folder, data, absent), *float_stages(folder, data, python, absent)]
    found = {
        "command": "python ci/allo_stages.py",
        "conditions": conditions("fpga"),
        "allo_found": bool(python),
    }
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(found | {"stages": stages}, indent=1) + "\n")
    print(f"{target}: {len(stages)} stages" + (f"; not run: {absent}" if absent else ""))
    if wrong := [stage for stage in stages if stage["mismatches"] or stage.get("failed")]:
        sys.exit(f"{len(wrong)} stages are wrong: {wrong[0]}")


def networks(data: TaggingData) -> dict[str, Network]:
    """JetFormer-tiny, the same pruned and with 1-bit weights (scales of any size, powers of two), a perceptron, a trigger
    network."""
    tiny = preset("tiny", features=3, classes=5)
    pruned = replace(tiny, attention_dims=(4, 4, 2, 2), feedforward_dims=(9, 7, 5, 3))
    full = example_state(tiny, seed=4).network
    found: dict[str, Network] = {
        "tiny": example_state(tiny).network,
        "pruned tiny": example_state(pruned).network,
    }
    for name, form in (("1-bit tiny", OneBit()), ("1-bit tiny by shifts", OneBit(power_of_two=True))):
        bits = OneBitJetFormer(tiny, form).eval()
        bits.load_state_dict(full.state_dict())
        found[name] = bits.freeze()
    torch.manual_seed(7)
    for name, tagger in (("mlp", "mlp-tiny"), ("trigger", "trigger-8")):
        found[name] = build(tagger, data.inputs, constituents=8, classes=5).eval()
    return found


def integer_stages(folder: Path, data: TaggingData, absent: str) -> Iterator[dict[str, Any]]:
    for name, network in networks(data).items():
        path = saved(folder, name, network, data, fixed=True)
        read = state.read(path)
        jets, made = asked(read, JETS), program(read)
        expected = reference.logits(read, jets.x, jets.mask)
        found, overflows = interpret(made, jets.x, jets.mask)
        stage = driver.compared(driver.Stage(name, "interpreted"), found, expected)
        wanted = {"dataflow": 1, "pipeline": len(made.pipelined), "array_partition": len(made.partitioned)}
        # equal answers of a network that gives one answer to all jets would say nothing
        answers = len(np.unique(expected, axis=0))
        yield asdict(stage) | {"asked": wanted, "failed": bool(overflows) or answers < JETS // 4}
        if absent:
            yield from (skipped(name, which, absent) for which in ("llvm", "hls"))
            continue
        try:
            for done in driver.validate(read, folder / f"{path.stem}.allo", "hls", jets):
                yield asdict(done) | {"network": name, "failed": bool(done.missing)}
        except FpgaError as error:
            yield skipped(name, "llvm, hls", str(error)) | {"failed": True}


def skipped(network: str, stage: str, reason: str) -> dict[str, Any]:
    return asdict(driver.Stage(network, stage)) | {"mismatches": None, "max_error": None, "skipped": reason}


def float_stages(folder: Path, data: TaggingData, python: str, absent: str) -> Iterator[dict[str, Any]]:
    """The published path, at several batches, against PyTorch."""
    made = networks(data)
    for name in ("tiny", "mlp"):
        path = saved(folder, name, made[name], data)
        for batch in BATCHES:
            of = f"{name} (float)", f"float, batch {batch}"
            yield float_stage(python, path, batch, *of) if python else skipped(*of, absent)


def float_stage(python: str, path: Path, batch: int, network: str, stage: str) -> dict[str, Any]:
    command = [python, "-m", "jetformer_fpga.allo.floating", str(path), str(batch)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = (done.stderr.strip() or "no output").splitlines()[-1]
        return skipped(network, stage, reason) | {"failed": True}
    return asdict(driver.Stage(network, stage)) | json.loads(done.stdout.strip().splitlines()[-1])


def saved(folder: Path, name: str, network: Network, data: TaggingData, fixed: bool = False) -> Path:
    path = folder / f"{name.replace(' ', '_')}_{'fixed' if fixed else 'float'}.safetensors"
    made = State(network, data.inputs, data.class_names)
    save(path, replace(made, network=post_training(made, data.train, Widths())) if fixed else made)
    return path


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else TARGET)
