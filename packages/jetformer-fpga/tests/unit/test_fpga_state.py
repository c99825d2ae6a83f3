from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

from jetformer_fpga import state
from jetformer_fpga.errors import StateError


def rewritten(source: Path, target: Path, header: dict[str, Any] | None = None, **arrays: Any) -> Path:
    """A copy of a state with parts of its header, or of its tensors (dots for double underscores), replaced."""
    with safe_open(str(source), framework="np") as file:
        old = json.loads(file.metadata()["jetformer"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    for name, array in arrays.items():
        name = name.replace("__", ".")
        tensors.pop(name, None)
        if array is not None:
            tensors[name] = array
    save_file(tensors, str(target), metadata={"jetformer": json.dumps(old | (header or {}))})
    return target


def test_reads_what_was_written(small_state: Path) -> None:
    loaded = state.read(small_state)
    assert loaded.architecture.attention_dims == (2,)
    assert loaded.tensors["blocks.0.feedforward.expand.weight"].codes.shape == (3, 4)
    assert loaded.inputs.features == ("pt", "etarel", "phirel")


@pytest.mark.parametrize(
    ("header", "arrays", "sentence"),
    (
        ({"format": "other"}, {}, "format 'other'"),
        ({"version": "2.0"}, {}, "state version 2.0"),
        ({"kind": "odd"}, {}, "state kind 'odd'"),
        ({"kind": "float", "architecture": {"norm": "layer", "activation": "silu"}}, {}, "--norm batch --activation relu"),
        ({"kind": "float", "architecture": {"norm": "batch", "activation": "relu"}}, {}, "jetformer-compress quantize"),
        ({"class_names": ["g"]}, {}, "1 class names for 5"),
        ({"architecture": {"constituents": 3}}, {}, "architecture is incomplete"),
        ({}, {"class_token": None}, "'class_token' is missing"),
        ({}, {"class_token": np.zeros(5, np.float32)}, r"'class_token': expected \(4,\), got \(5,\)"),
        ({}, {"class_token": np.zeros(4, np.float64)}, "expected float32"),
        ({}, {"class_token": np.full(4, 0.3, np.float32)}, "not on its grid"),
        ({}, {"class_token": np.full(4, np.nan, np.float32)}, "not on its grid"),
        ({}, {"class_token__kif": np.zeros((4, 2), np.int8)}, r"'class_token.kif'"),
        ({}, {"activation__input__kif": np.array([2, 1, 1], np.int8)}, "k must be 0 or 1"),
        ({}, {"activation__blocks__0__attention__exponent__kif": np.array([1, 2, 3], np.int8)}, "k must be 0"),
        ({}, {"blocks__0__feedforward__sign": np.zeros(4, np.float32)}, "-1 or 1"),
        ({}, {"extra": np.zeros(4, np.float32)}, "unexpected tensor 'extra'"),
    ),
)  # fmt: skip
def test_refuses_with_a_sentence(
    small_state: Path, tmp_path: Path, header: dict[str, Any], arrays: dict[str, Any], sentence: str
) -> None:
    path = rewritten(small_state, tmp_path / "bad.safetensors", header, **arrays)
    with pytest.raises(StateError, match=sentence) as caught:
        state.read(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_newer_minor_version_is_accepted(small_state: Path, tmp_path: Path) -> None:
    assert state.read(rewritten(small_state, tmp_path / "new.safetensors", {"version": "1.7"}))


def test_missing_truncated_and_foreign_files(small_state: Path, tmp_path: Path) -> None:
    with pytest.raises(StateError, match="no such file"):
        state.read(tmp_path / "none.safetensors")
    whole = small_state.read_bytes()
    for name, content, sentence in (
        ("head", whole[:100], "truncated"),
        ("tail", whole[:-1], "truncated"),
        ("empty", b"", "not a safetensors file"),
        ("text", b"hello, this is no network", "not a safetensors file"),
    ):
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(StateError, match=sentence):
            state.read(path)
    plain = tmp_path / "plain.safetensors"
    save_file({"x": np.zeros(3)}, str(plain))
    with pytest.raises(StateError, match="no JetFormer header"):
        state.read(plain)
