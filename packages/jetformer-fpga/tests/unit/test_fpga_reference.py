"""The reference against numbers worked out by hand: one block, one constituent, one feature, one head."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from jetformer_fpga import reference, state
from jetformer_fpga.fixed_point import Format
from jetformer_fpga.state import FixedTensor
from jetformer_fpga.testing import random_state

WIDE = Format.of([1, 8, 4])


@pytest.fixture
def tiny(tmp_path: Path) -> state.State:
    """d = a = m = C = H = 1; all activations on steps of 1/16; exp halves at each whole step, reciprocal is exact."""
    sizes = {"constituents": 1, "features": 1, "embed_dim": 1, "heads": 1, "classes": 1}
    loaded = state.read(
        random_state(tmp_path / "s", seed=1, attention_dims=(1,), feedforward_dims=(1,), **sizes)
    )
    weights = {
        "class_token": 1.0, "embedding.weight": 2.0, "embedding.bias": 0.5,
        "blocks.0.attention.q.weight": 1.0, "blocks.0.attention.q.bias": 0.0,
        "blocks.0.attention.k.weight": 1.0, "blocks.0.attention.k.bias": 0.0,
        "blocks.0.attention.v.weight": 2.0, "blocks.0.attention.v.bias": 0.0,
        "blocks.0.attention.output.weight": 1.0, "blocks.0.attention.output.bias": 0.25,
        "blocks.0.feedforward.sign": -1.0, "blocks.0.feedforward.offset": 6.0,
        "blocks.0.feedforward.expand.weight": 1.5, "blocks.0.feedforward.expand.bias": -0.5,
        "blocks.0.feedforward.contract.weight": 3.0, "head.weight": 0.5, "head.bias": 1.0, "always": 1.0,
    }  # fmt: skip
    tensors = {
        name: FixedTensor(np.full(loaded.tensors[name].codes.shape, round(value * 16)), WIDE)
        for name, value in weights.items()
    }
    tensors["always"] = FixedTensor(np.array([1]), Format.of([0, 1, 0]))
    one = Format.of([0, 3, 0])
    formats = dict.fromkeys(loaded.formats, WIDE) | {
        "blocks.0.attention.exponent": one, "blocks.0.attention.sum": Format.of([0, 2, 4]),
    }  # fmt: skip
    tensors["blocks.0.attention.exp.entries"] = FixedTensor(np.array([16, 8, 4, 2, 1, 1, 0, 0]), WIDE)
    totals = np.maximum(np.arange(64), 1) / 16
    tensors["blocks.0.attention.reciprocal.entries"] = FixedTensor(
        np.floor(16 / totals + 0.5).astype(int), WIDE
    )
    return replace(loaded, tensors=tensors, formats=formats)


def test_with_a_constituent(tiny: state.State) -> None:
    # x = 1/4: t = [1, 1]; q, k = 1, v = 2; s = 1, n = 0, e = 1, sum = 2, r = 1/2; o = 1/2 * 4 = 2; t = 1 + 2 + 1/4 = 3.25
    # u = relu(6 - 3.25) = 2.75; h = relu(1.5 * 2.75 - 0.5) = 3.625; t = 3.25 + 10.875 = 14.125; logit = 8.0625
    logits = reference.logits(tiny, np.array([[[4]]]), np.array([[True]]))
    assert logits.tolist() == [[129]]


def test_without_one(tiny: state.State) -> None:
    # x = 1: t1 = 2.5. Real: s = [1, 2.5], n = [round(1.5) = 2, 0], e = [1/4, 1], sum = 1.25, r = 0.8 -> 13/16
    # sum of e v = 0.5 + 5 = 5.5; o = 5.5 * 13/16 = 4.46875 -> 4.5
    # t = 5.75; u = 0.25; h = relu(0.375 - 0.5) = 0; logit = 3.875
    real = reference.logits(tiny, np.array([[[16]]]), np.array([[True]]))
    assert real.tolist() == [[62]]
    # Padded: e of the token is 0, so the class token is alone: o = 2, and then as above.
    padded = reference.logits(tiny, np.array([[[16]]]), np.array([[False]]))
    assert padded.tolist() == [[129]]


def test_refuses_sums_beyond_62_bits() -> None:
    huge = reference.Exact(np.array([[[1 << 40]]]), 0)
    for operation in ("matmul", "multiply"):
        with pytest.raises(reference.FpgaError, match="62 bits"):
            reference.OPERATIONS[operation](None, None, huge, huge)
    fine = reference.Exact(huge.n, 30)
    with pytest.raises(reference.FpgaError, match="62 bits"):
        reference.OPERATIONS["add"](None, None, huge, fine)
