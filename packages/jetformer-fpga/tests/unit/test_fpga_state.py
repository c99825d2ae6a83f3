from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

from jetformer_fpga import network, state
from jetformer_fpga.errors import StateError
from jetformer_fpga.testing import Sketch


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
    assert loaded.input_shape == (3, 3)
    assert loaded.graph[-1].name == "logits"
    assert loaded.graph[-1].shape == (5,)
    assert loaded.tensors["blocks.0.feedforward.expand.weight"].codes.shape == (3, 4)
    assert loaded.inputs.features == ("pt", "etarel", "phirel")


@pytest.mark.parametrize(
    ("header", "arrays", "sentence"),
    (
        ({"format": "other"}, {}, "format 'other'"),
        ({"version": "3.0"}, {}, "state version 3.0"),
        ({"version": "1.1"}, {}, "quantise the float state again with this release"),
        ({"kind": "odd"}, {}, "state kind 'odd'"),
        ({"kind": "float", "architecture": {"norm": "layer", "activation": "silu"}}, {}, "--norm batch --activation relu"),
        ({"kind": "float", "architecture": {"norm": "batch", "activation": "relu"}}, {}, "jetformer-compress quantize"),
        ({"class_names": ["g"]}, {}, "'logits' has shape \\(5,\\), but there are 1 class names"),
        ({"inputs": {"features": ["pt"], "mean": [0], "std": [1]}}, {}, "but the header names 1 features"),
        ({"graph": []}, {}, "graph must be a list"),
        ({}, {"class_token": None}, "'class_token' is missing"),
        ({}, {"embedding__weight": None}, "'embedding.weight' is missing"),
        ({}, {"embedding__bias": np.zeros(5, np.float32)}, r"'embedding.bias': expected \(4,\), got \(5,\)"),
        ({}, {"embedding__weight": np.zeros((4, 2), np.float32)}, r"'embedding.weight': expected \(4, 3\), got \(4, 2\)"),
        ({}, {"class_token": np.zeros((1, 4), np.float64)}, "expected float32"),
        ({}, {"class_token": np.full((1, 4), 0.3, np.float32)}, r"'class_token'\[0, 0\] = .* is not on its grid"),
        ({}, {"class_token": np.full((1, 4), np.nan, np.float32)}, "not on its grid"),
        ({}, {"class_token__kif": np.zeros((4, 2), np.int8)}, r"'class_token.kif'"),
        ({}, {"class_token__kif": np.zeros((7, 3), np.int8)}, "broadcasts against"),
        ({}, {"features__kif": np.array([2, 1, 1], np.int8)}, "k must be 0 or 1"),
        ({}, {"features__kif": np.array([1, 20, 10], np.int8)}, "a width of 31 bits; at most 24"),
        ({}, {"features__kif": np.array([1, 2, 3], np.int16)}, "expected int8"),
        ({}, {"blocks__0__attention__exponent__kif": np.array([1, 2, 3], np.int8)}, "k must be 0"),
        ({}, {"blocks__0__attention__exponent__kif": np.array([0, 9, 9], np.int8)}, "1 to 16 address bits"),
        ({}, {"blocks__0__attention__exponent__kif": np.zeros((3, 3), np.int8)}, "one format for all|broadcasts"),
        ({}, {"blocks__0__attention__exp__entries": np.zeros(3, np.float32)}, "expected"),
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


FINISH = {"op": "quantise", "name": "logits", "of": ["x"]}


@pytest.mark.parametrize(
    ("entry", "sentence"),
    (
        ({"op": "softmax", "of": ["features"]}, "'softmax' is not known here"),
        ({"op": "relu", "of": ["later"]}, "its source 'later' is not defined before it"),
        ({"op": "relu", "of": []}, "'relu' takes 1 sources, got 0"),
        ({"op": "add", "of": ["features", "mask"]}, r"shapes \(4, 3\) and \(4,\) don't broadcast"),
        ({"op": "matmul", "of": ["features", "features"]}, "can't be multiplied as matrices"),
        ({"op": "sum", "of": ["features"], "axis": -1}, "axis -1 does not fit"),
        ({"op": "sum", "of": ["features"], "axis": 0, "keep": 1}, "'keep' must be true or false"),
        ({"op": "maximum", "of": ["features", "mask"], "axis": 0}, "don't broadcast"),
        ({"op": "reshape", "of": ["features"], "shape": [5]}, "can't become"),
        ({"op": "transpose", "of": ["features"], "axes": [0, 0]}, "no order of the axes"),
        ({"op": "slice", "of": ["features"], "axis": 0, "start": 2, "stop": 9}, "no part of axis 0"),
        ({"op": "concatenate", "of": ["features", "mask"], "axis": 0}, "can't be joined"),
        ({"op": "linear", "of": ["features"]}, "'bias' must be true or false"),
        ({"op": "linear", "of": ["features"], "bias": True}, "'outputs' must be 1 or more"),
        ({"op": "linear", "of": ["features"], "bias": True, "outputs": 2}, r"'logits' has shape \(4, 2\)"),
        ({"op": "parameter", "of": [], "shape": [5]}, "tensor 'x' is missing"),
        ({"op": "mask", "of": [], "shape": [4]}, "must be named 'mask'"),
        ({"op": "relu", "of": ["features"]}, r"'logits' has shape \(4, 3\)"),
    ),
)  # fmt: skip
def test_a_graph_that_makes_no_sense_is_one_sentence(
    tmp_path: Path, entry: dict[str, Any], sentence: str
) -> None:
    sketch = Sketch(seed=1)
    sketch.features()
    sketch.mask()
    sketch.graph += [{"name": "x"} | entry, FINISH]
    sketch.arrays["logits.kif"] = np.array([1, 2, 3], np.int8)
    path = sketch.write(tmp_path / "bad.safetensors")
    with pytest.raises(StateError, match=sentence) as caught:
        state.read(path)
    assert "\n" not in str(caught.value)


def test_only_quantisers_address_tables(tmp_path: Path) -> None:
    sketch = Sketch(seed=1, constituents=5, features=1)
    x = sketch.op("relu", "live", sketch.features((0, 1, 2)))
    table = sketch.op("table", "odd", sketch.op("reshape", "flat", x, shape=[5]))
    sketch.quantise("logits", table, (1, 2, 3))
    with pytest.raises(StateError, match="addressed by a 'quantise'"):
        state.read(sketch.write(tmp_path / "s.safetensors"))


def test_a_mask_must_be_one(tmp_path: Path) -> None:
    sketch = Sketch(seed=1, constituents=2, features=1, classes=2)
    x = sketch.op("reshape", "flat", sketch.features(), shape=[2])
    sketch.quantise("logits", sketch.op("gate", "odd", x, x), (1, 2, 3))
    with pytest.raises(StateError, match="'flat' is no mask"):
        network.build(state.read(sketch.write(tmp_path / "s.safetensors")))


def test_a_newer_minor_version_is_accepted(small_state: Path, tmp_path: Path) -> None:
    assert state.read(rewritten(small_state, tmp_path / "new.safetensors", {"version": "2.7"}))


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
