"""Jets a second of the 150p preset on the CPU: its exported graph in ONNX Runtime against eager PyTorch, two threads each.

    python ci/bench.py model onnx_cpu

Weights are random; 32 constituents x 3 features, 10 to 32 of them real. Both get jets in physical units and give
probabilities. The two take turns, neither's threads spin while it waits, and each figure is the median of its turns.
`onnx_cpu_ratio_to_eager` is that of the batch size where it is smallest.
"""

from __future__ import annotations

import os

# Read when torch is loaded: threads that spin while they wait take the cores from the other's turn.
os.environ["OMP_WAIT_POLICY"] = "passive"

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnxruntime
import torch

from jetformer_model.config import preset
from jetformer_model.inputs import Inputs
from jetformer_model.network import JetFormer
from jetformer_model.onnx_export import Graph, export
from jetformer_model.state import State, save

THREADS = 2
SEED = 1
BATCHES = (1, 32, 256, 1024)
TURNS = 15
TURN_SECONDS = 0.3


def measure() -> dict[str, Any]:
    torch.set_num_threads(THREADS)
    torch.manual_seed(SEED)
    inputs = Inputs(("pt", "etarel", "phirel"), ("GeV", "1", "rad"), (20.0, 0.0, 0.0), (50.0, 0.1, 0.1), 2.0)
    network = JetFormer(preset("150p", features=3, classes=5)).eval()
    eager = Graph(network, inputs, "probabilities", normalised=False).eval()
    with tempfile.TemporaryDirectory() as folder:
        state, graph = Path(folder) / "state.safetensors", Path(folder) / "network.onnx"
        save(state, State(network, inputs, ("g", "q", "W", "Z", "t")))
        export(state, graph)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = THREADS
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    runs = [_compare(eager, session, inputs, batch) for batch in BATCHES]
    return {
        "onnx_cpu_ratio_to_eager": min(run["ratio"] for run in runs),
        "onnx_cpu_runs": runs,
        "onnx_cpu_threads": THREADS,
        "onnx_cpu_seed": SEED,
        "onnx_cpu_versions": {"onnxruntime": onnxruntime.__version__, "torch": torch.__version__},
    }


def _compare(eager: Graph, session: Any, inputs: Inputs, batch: int) -> dict[str, float]:
    slots = eager.network.architecture.constituents
    mask = torch.arange(slots) < torch.randint(10, slots + 1, (batch, 1))
    x = torch.randn(batch, slots, 3) * torch.tensor(inputs.std) + torch.tensor(inputs.mean)
    feed = {"constituents": x.numpy(), "mask": mask.numpy()}
    with torch.inference_mode():
        difference = eager(x, mask) - torch.from_numpy(session.run(None, feed)[0])
        assert difference.abs().max() < 1e-5
        steps = (lambda: eager(x, mask)), (lambda: session.run(None, feed))
        turns = [[_rate(step, batch) for step in steps] for _ in range(TURNS)]
    pytorch, onnx = (statistics.median(rates) for rates in zip(*turns, strict=True))
    return {
        "batch": batch,
        "eager_jets_per_s": round(pytorch),
        "onnx_jets_per_s": round(onnx),
        "ratio": round(statistics.median(turn[1] / turn[0] for turn in turns), 2),
    }


def _rate(step: Callable[[], object], batch: int) -> float:
    """Jets a second in one turn, after a call that wakes the threads."""
    step()
    begin, calls = time.perf_counter(), 0
    while (seconds := time.perf_counter() - begin) < TURN_SECONDS:
        step()
        calls += 1
    return calls * batch / seconds
