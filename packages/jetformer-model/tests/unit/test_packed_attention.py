"""The GPU's attention kernels against the formula, through Triton's interpreter where there is no GPU."""

from __future__ import annotations

import math
import os
import subprocess
import sys

import pytest
import torch
from torch import Tensor


def expected(q: Tensor, k: Tensor, v: Tensor, q_offsets: Tensor, k_offsets: Tensor, heads: int) -> Tensor:
    """softmax(q k^T / sqrt(D)) v, jet by jet."""

    def split(x: Tensor) -> Tensor:
        return x.unflatten(-1, (heads, -1)).transpose(0, 1)

    rows = []
    for jet in range(len(q_offsets) - 1):
        queries = split(q[q_offsets[jet] : q_offsets[jet + 1]])
        keys, values = (split(x[k_offsets[jet] : k_offsets[jet + 1]]) for x in (k, v))
        p = torch.softmax(queries @ keys.transpose(-1, -2) / math.sqrt(queries.shape[-1]), -1)
        rows.append((p @ values).transpose(0, 1).flatten(1))
    return torch.cat(rows)


def compare(lengths: list[int], heads: int, dim: int, one_query: bool, device: str) -> None:
    """Outputs and gradients of the kernels and of the formula."""
    from jetformer_model.packed_attention import packed_attention, packed_attention_backward

    torch.manual_seed(sum(lengths))
    offsets = torch.tensor([0, *torch.tensor(lengths).cumsum(0)], dtype=torch.int32)
    q_offsets = torch.arange(len(offsets), dtype=torch.int32) if one_query else offsets
    width = heads * dim
    qkv = torch.randn(int(offsets[-1]), 3 * width)
    q, k, v = (x.detach() for x in qkv.chunk(3, -1))  # rows with a stride, as after one product
    if one_query:
        q = torch.randn(len(lengths), width)
    leaves = [x.clone().requires_grad_() for x in (q, k, v)]
    reference = expected(*leaves, q_offsets, offsets, heads)
    gradient = torch.randn_like(reference)
    reference.backward(gradient)

    q, k, v, gradient, q_offsets, offsets = (x.to(device) for x in (q, k, v, gradient, q_offsets, offsets))
    out, logsum = packed_attention(q, k, v, q_offsets, offsets, heads, one_query)
    grads = packed_attention_backward(gradient, q, k, v, out, logsum, q_offsets, offsets, heads, one_query)
    torch.testing.assert_close(out.cpu(), reference.detach(), atol=2e-6, rtol=1e-5)
    for ours, leaf in zip(grads, leaves, strict=True):
        torch.testing.assert_close(ours.cpu(), leaf.grad, atol=5e-6, rtol=1e-5)


CASES = [([5, 1, 64, 65, 130], 2, 16, False), ([5, 1, 64, 65, 130], 2, 16, True), ([7, 70], 3, 8, False)]


@pytest.mark.parametrize(("lengths", "heads", "dim", "one_query"), CASES)
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_kernels_equal_the_formula_on_a_gpu(
    lengths: list[int], heads: int, dim: int, one_query: bool
) -> None:
    compare(lengths, heads, dim, one_query, "cuda")


@pytest.mark.skipif(torch.cuda.is_available(), reason="the kernels are tested on the GPU itself")
def test_kernels_equal_the_formula_in_the_interpreter() -> None:
    pytest.importorskip("triton", reason="needs Triton, which comes with CUDA builds of torch")
    calls = "; ".join(f"test.compare({', '.join(map(repr, case))}, 'cpu')" for case in CASES)
    folder = os.path.dirname(__file__)
    code = f"import sys; sys.path.insert(0, {folder!r}); import test_packed_attention as test; {calls}"
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ | {"TRITON_INTERPRET": "1"})
