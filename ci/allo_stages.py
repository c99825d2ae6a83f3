"""What the Allo backend does on this machine: python ci/allo_stages.py [FILE], by default build/bench/allo.json

Every network goes through each stage; a stage that can't run says why. Without Allo the generated programs are executed by
the package's own interpreter instead. Networks have random weights.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from jetformer_fpga import reference, state
from jetformer_fpga.allo import driver, interpret, program
from jetformer_fpga.allo.examples import examples
from jetformer_fpga.allo.jets import asked
from jetformer_fpga.errors import ToolError
from jetformer_model import state as model_state
from jetformer_model.config import Architecture
from jetformer_model.inputs import Inputs
from jetformer_model.network import JetFormer
from jetformer_model.taggers.registry import build

JETS = 1000
BATCHES = (1, 2, 16)
TARGET = Path(__file__).parents[1] / "build" / "bench" / "allo.json"


def main(target: Path) -> None:
    try:
        python, absent = driver.interpreter(), ""
    except ToolError as error:
        python, absent = "", str(error)
    with tempfile.TemporaryDirectory() as folder:
        stages = [*integer_stages(Path(folder), absent), *float_stages(Path(folder), python, absent)]
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps({"allo_found": bool(python), "stages": stages}, indent=1))
    print(f"{target}: {len(stages)} stages" + (f"; not run: {absent}" if absent else ""))
    if wrong := [stage for stage in stages if stage["mismatches"] or stage.get("failed")]:
        sys.exit(f"{len(wrong)} stages are wrong: {wrong[0]}")


def integer_stages(folder: Path, absent: str) -> Iterator[dict[str, Any]]:
    for name, path in examples(folder).items():
        read = state.read(path)
        jets = asked(read, JETS)
        expected = reference.logits(read, jets.x, jets.mask)
        found, overflows = interpret(program(read), jets.x, jets.mask)
        stage = driver.Stage(name, "interpreted", len(jets))
        stage.mismatches = int((found != expected).any(axis=1).sum())
        stage.max_error = int(abs(found - expected).max())
        yield asdict(stage) | {"overflows": len(overflows), "failed": bool(overflows)}
        if absent:
            yield from (asdict(driver.Stage(name, which, skipped=absent)) for which in ("llvm", "hls"))
            continue
        for done in driver.validate(read, folder / f"{path.stem}.allo", "hls", jets):
            yield asdict(done) | {"network": name, "failed": bool(done.missing)}


def float_stages(folder: Path, python: str, absent: str) -> Iterator[dict[str, Any]]:
    """The published path, at several batches, against PyTorch."""
    for name, path in float_states(folder).items():
        for batch in BATCHES:
            stage = asdict(driver.Stage(name, f"float, batch {batch}", skipped=absent))
            if python:
                command = [python, "-m", "jetformer_fpga.allo.floating", str(path), str(batch)]
                done = subprocess.run(command, capture_output=True, text=True, check=False)
                lines = (done.stdout if done.returncode == 0 else done.stderr).strip().splitlines() or [
                    "no output"
                ]
                answer = json.loads(lines[-1]) if done.returncode == 0 else {"skipped": lines[-1]}
                stage |= answer | {"failed": float(answer.get("max_error", 0)) > 1e-5}
            yield stage


def float_states(folder: Path) -> dict[str, Path]:
    torch.manual_seed(7)
    architecture = Architecture(8, 3, 8, 2, 5, (8, 8, 8, 8), (16, 16, 16, 16))
    inputs = Inputs(("pt", "etarel", "phirel"), ("GeV", "1", "rad"), (0.0,) * 3, (1.0,) * 3, 0.0)
    networks = {"tiny": JetFormer(architecture), "mlp": build("mlp-tiny", inputs, constituents=8, classes=5)}
    for name, network in networks.items():
        made = model_state.State(network.eval(), inputs, ("g", "q", "W", "Z", "t"))
        model_state.save(folder / f"float_{name}.safetensors", made)
    return {f"{name} (float)": folder / f"float_{name}.safetensors" for name in networks}


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else TARGET)
