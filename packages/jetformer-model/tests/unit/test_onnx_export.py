"""Exported graphs against the networks they came from, run by ONNX Runtime."""

import json
import logging
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor

from jetformer_model import onnx_export
from jetformer_model.dataset import file_sha256
from jetformer_model.errors import ModelError
from jetformer_model.norm import MaskedBatchNorm
from jetformer_model.onnx_export import METADATA_KEY, constituents_are_free, export, exportable
from jetformer_model.state import State, load, save
from jetformer_model.taggers import TAGGERS, build
from jetformer_model.taggers.contract import EXAMPLE_INPUTS
from jetformer_model.testing import example_fixed_point_state, example_state

CONSTITUENTS = 7
SMALL: dict[str, dict[str, Any]] = {
    "jetformer": {"embed_dim": 8},
    "jetformer-linformer": {"embed_dim": 8},
    "particle-transformer": {"blocks": 1, "class_blocks": 1, "embed_dim": 16},
    "particle-transformer-plain": {"blocks": 1, "class_blocks": 1, "embed_dim": 16},
}
SAME_AS_ANOTHER = {"jetformer-large", "jetformer-tiny", "mlp-tiny", "particlenet"}
BY_PLACE = {"mlp", "mlp-mixer", "jedi-net", "jetformer-linformer"}


def state_of(name: str) -> State:
    torch.manual_seed(1)
    network = build(name, EXAMPLE_INPUTS, constituents=CONSTITUENTS, classes=3, **SMALL.get(name, {}))
    for module in network.modules():
        if isinstance(module, MaskedBatchNorm | torch.nn.BatchNorm1d):
            module.running_mean.normal_(std=0.3)
            module.running_var.uniform_(0.5, 2)
    return State(network.eval(), EXAMPLE_INPUTS, ("a", "b", "c"))


def jets(inputs: Any, counts: list[int], slots: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Physical features and mask, with NaN in padding."""
    mask = torch.arange(slots) < torch.tensor(counts)[:, None]
    normal = torch.randn(len(counts), slots, len(inputs.mean), generator=torch.Generator().manual_seed(seed))
    x = (normal.double() * torch.tensor(inputs.std) + torch.tensor(inputs.mean)).float()
    return torch.where(mask.unsqueeze(-1), x, torch.nan), mask


@torch.no_grad()
def expected(state: State, x: Tensor, mask: Tensor) -> np.ndarray:
    normal = (x.double() - torch.tensor(state.inputs.mean)) / torch.tensor(state.inputs.std)
    normal = torch.where(mask.unsqueeze(-1), normal, 0.0).float()
    return state.network(normal, mask).softmax(-1).numpy()


def run(path: Path, x: Tensor, mask: Tensor) -> np.ndarray:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"constituents": x.numpy(), "mask": mask.numpy()})[0])


@pytest.mark.parametrize("name", sorted(TAGGERS.keys() - SAME_AS_ANOTHER))
def test_graph_and_network_agree(name: str, tmp_path: Path) -> None:
    state, path = state_of(name), tmp_path / "network.onnx"
    save(tmp_path / "state.safetensors", state)
    export(tmp_path / "state.safetensors", path)
    assert constituents_are_free(state.network) == (name not in BY_PLACE)
    shapes = ((5, 7), (1, 7)) if name in BY_PLACE else ((5, 7), (1, 7), (1, 1), (4, 12), (2, 2))
    for seed, (number, slots) in enumerate(shapes):
        for counts in ([k % (slots + 1) for k in range(number)], [slots] * number):
            x, mask = jets(state.inputs, counts, slots, seed)
            np.testing.assert_allclose(run(path, x, mask), expected(state, x, mask), rtol=0, atol=1e-5)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small state, and its graph in each form."""
    folder = tmp_path_factory.mktemp("graphs")
    save(folder / "state.safetensors", example_state())
    for output in onnx_export.OUTPUTS:
        export(folder / "state.safetensors", folder / f"{output}.onnx", output=output)
    export(folder / "state.safetensors", folder / "normalised.onnx", normalised=True)
    return folder


def test_forms_of_the_output(folder: Path) -> None:
    state = load(folder / "state.safetensors")
    x, mask = jets(state.inputs, [5, 0, 1, 3], 5)
    probabilities = expected(state, x, mask)
    np.testing.assert_allclose(np.exp(run(folder / "log-softmax.onnx", x, mask)), probabilities, atol=1e-5)
    logits = torch.from_numpy(run(folder / "logits.onnx", x, mask))
    np.testing.assert_allclose(logits.softmax(-1), probabilities, atol=1e-5)
    assert (logits.exp().sum(-1) - 1).abs().min() > 0.01


def test_normalised_features_are_not_normalised_again(folder: Path) -> None:
    state = load(folder / "state.safetensors")
    x, mask = jets(state.inputs, [5, 0, 1, 3], 5)
    normal = ((x.double() - torch.tensor(state.inputs.mean)) / torch.tensor(state.inputs.std)).float()
    np.testing.assert_allclose(
        run(folder / "normalised.onnx", normal, mask), expected(state, x, mask), atol=1e-5
    )


def test_a_mask_with_holes(folder: Path) -> None:
    state = load(folder / "state.safetensors")
    x, _ = jets(state.inputs, [5, 5], 5)
    mask = torch.tensor([[True, False, True, False, False], [False, True, False, False, True]])
    np.testing.assert_allclose(
        run(folder / "probabilities.onnx", x, mask), expected(state, x, mask), atol=1e-5
    )


@pytest.mark.parametrize("output", onnx_export.OUTPUTS)
def test_names_types_and_metadata(folder: Path, output: str) -> None:
    path, state = folder / f"{output}.onnx", load(folder / "state.safetensors")
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    assert [(i.name, i.type, i.shape) for i in session.get_inputs()] == [
        ("constituents", "tensor(float)", ["jets", "constituents", 3]),
        ("mask", "tensor(bool)", ["jets", "constituents"]),
    ]
    assert [(o.name, o.type, o.shape) for o in session.get_outputs()] == [
        (output, "tensor(float)", ["jets", 5])
    ]
    metadata = json.loads(session.get_modelmeta().custom_metadata_map[METADATA_KEY])
    assert metadata["inputs"]["features"] == list(state.inputs.features)
    assert metadata["inputs"]["units"] == list(state.inputs.units)
    assert metadata["inputs"]["mean"] == list(state.inputs.mean)
    assert metadata["inputs"]["std"] == list(state.inputs.std)
    assert metadata["inputs"]["min_pt_gev"] == 2.0
    assert metadata["class_names"] == list(state.class_names)
    assert metadata["constituents"] == 5
    assert metadata["output"] == output
    assert metadata["state_sha256"] == file_sha256(folder / "state.safetensors")


def test_a_graph_is_valid_and_says_nothing_of_the_machine_it_was_made_on(folder: Path) -> None:
    onnx.checker.check_model(folder / "probabilities.onnx", full_check=True)
    content = (folder / "probabilities.onnx").read_bytes()
    assert str(Path(onnx_export.__file__).parent).encode() not in content
    assert b"site-packages" not in content


def test_export_is_silent(
    folder: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        export(folder / "state.safetensors", folder / "again.onnx")
    assert capfd.readouterr() == ("", "")
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_what_cannot_be_exported_is_said(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="particlenet cannot be exported"):
        exportable(state_of("particlenet"))
    with pytest.raises(ModelError, match="a fixed-point state cannot be exported"):
        exportable(example_fixed_point_state())
    save(tmp_path / "s.safetensors", example_state())
    with pytest.raises(ModelError, match="expected one of probabilities, log-softmax, logits"):
        export(tmp_path / "s.safetensors", tmp_path / "s.onnx", output="scores")
    with pytest.raises(ModelError, match="there is no folder"):
        export(tmp_path / "s.safetensors", tmp_path / "absent" / "s.onnx")


def test_an_absent_extra_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path / "s.safetensors", example_state())
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(ModelError, match=r"pip install 'jetformer-model\[onnx\]'"):
        export(tmp_path / "s.safetensors", tmp_path / "s.onnx")


def test_exporting_leaves_the_network_alone() -> None:
    state = state_of("particle-transformer")
    exportable(state)
    assert state.network.pair_bias.pairs == "real"
