"""The published float path: what Allo's PyTorch frontend gets has the network's answers and its own operators only."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jetformer_fpga.allo import driver, floating
from jetformer_fpga.errors import StateError, ToolError

torch = pytest.importorskip("torch", reason="PyTorch is not installed here")
model_state = pytest.importorskip("jetformer_model.state", reason="jetformer-model is not installed here")
testing = pytest.importorskip("jetformer_model.testing", reason="jetformer-model is not installed here")

# What the frontend builds, by torch.fx's names; method arguments are checked below.
FUNCTIONS = {"add", "cat", "matmul", "relu", "softmax", "log_softmax"}
METHODS = {"view", "reshape", "permute", "transpose", "repeat"}
MODULES = {"Linear", "BatchNorm1d", "SliceClsToken"}


@pytest.fixture(scope="module", params=("jetformer", "pruned", "mlp-tiny"))
def network(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    from jetformer_model.config import Architecture
    from jetformer_model.inputs import Inputs
    from jetformer_model.network import JetFormer
    from jetformer_model.taggers.registry import build

    torch.manual_seed(7)
    inputs = Inputs(("pt", "etarel", "phirel"), ("GeV", "1", "rad"), (0.0,) * 3, (1.0,) * 3, 0.0)
    if request.param == "mlp-tiny":
        made = build("mlp-tiny", inputs, constituents=7, classes=5)
    else:
        dims = ((4, 2), (11, 3)) if request.param == "pruned" else ((6, 6), (12, 12))
        made = JetFormer(Architecture(7, 3, 6, 2, 5, *dims))
        for norm in [m for m in made.modules() if hasattr(m, "running_var")]:
            norm.running_mean.normal_(0, 0.3)
            norm.running_var.uniform_(0.5, 2)
            torch.nn.init.uniform_(norm.weight, -1, 1.5)
            torch.nn.init.normal_(norm.bias, 0, 0.3)
    path = tmp_path_factory.mktemp("float") / "state.safetensors"
    model_state.save(path, model_state.State(made.eval(), inputs, ("g", "q", "W", "Z", "t")))
    return path, made


@pytest.mark.parametrize("batch", (1, 2, 16))
def test_answers_of_full_jets(network: tuple[Path, Any], batch: int) -> None:
    path, made = network
    module = floating.module(path, batch)
    x = torch.randn(batch, 7, 3, generator=torch.Generator().manual_seed(batch))
    with torch.no_grad():
        expected = torch.log_softmax(made(x, torch.ones(batch, 7, dtype=torch.bool)), dim=-1)
        np.testing.assert_allclose(module(x).numpy(), expected.numpy(), atol=1e-5, rtol=0)


def test_only_operators_that_the_frontend_builds(network: tuple[Path, Any]) -> None:
    module = floating.module(network[0], 2)

    class Tracer(torch.fx.Tracer):  # type: ignore[misc, name-defined]
        def is_leaf_module(self, m: Any, name: str) -> bool:
            return type(m).__name__ == "SliceClsToken" or super().is_leaf_module(m, name)

    for node in Tracer().trace(module).nodes:
        if node.op == "call_module":
            leaf = module.get_submodule(node.target)
            assert type(leaf).__name__ in MODULES
            assert getattr(leaf, "bias", True) is not None
        elif node.op == "call_function":
            assert node.target.__name__ in FUNCTIONS
            assert "softmax" not in node.target.__name__ or node.kwargs["dim"] == -1
            assert node.target.__name__ != "cat" or node.kwargs == {"dim": 1}
        elif node.op == "call_method":
            assert node.target in METHODS
            assert all(isinstance(argument, int) for argument in node.args[1:])


class TestStateReader(testing.StateReaderContract):  # type: ignore[misc,name-defined]
    expected_error = StateError
    refused = dict.fromkeys(("one_bit", "fixed_point"), "takes a float state")

    def use_state(self, path: Path) -> Any:
        return floating.module(path, 1)


def differences(python: str, path: Path, batch: int) -> dict[str, float]:
    command = [python, "-m", "jetformer_fpga.allo.floating", str(path), str(batch)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize(("fault", "expected"), (("", 0), ("wrong", 1)))
def test_a_difference_is_told(
    network: tuple[Path, Any], monkeypatch: pytest.MonkeyPatch, fault: str, expected: float
) -> None:
    """With a stand-in for Allo."""
    fakes = Path(__file__).parents[1] / "unit" / "fakes"
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(fakes), *(path for path in sys.path if path)]))
    monkeypatch.setenv("FAKE_ALLO", fault)
    found = differences(sys.executable, network[0], 2)
    assert found == {"jets": 2, "mismatches": 2 * expected, "max_error": pytest.approx(expected, abs=1e-5)}


@pytest.mark.allo
@pytest.mark.parametrize("batch", (1, 2, 16))
def test_allo_agrees_with_pytorch(network: tuple[Path, Any], batch: int) -> None:
    try:
        python = driver.interpreter()
    except ToolError as error:
        pytest.skip(str(error))
    assert differences(python, network[0], batch)["mismatches"] == 0
