"""All that a token does by itself after the attention of a block, as one Triton kernel for inference on a GPU.

    y = x + W_o a + b_o                              a: what the attention gave
    out = y + W_2 silu(Norm(W_1 silu(Norm(y))))      layer norms

Otherwise these vectors travel to memory and back five times, and memory is what bounds a network this narrow. Products
have float32 sums; norms, activations and the residual sum are in float32.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.library import triton_op, wrap_triton

# Tokens a step, warps a program, programs a multiprocessor: the fastest of eight on an H100, of 32 to 128, 4 to 16 and 1 to
# as many as there are tiles
_TILE, _WARPS, _PROGRAMS = 128, 8, 1
_EPSILON = tl.constexpr(1e-5)


@triton.jit
def _activated_norm(x, weight, bias, D: tl.constexpr):
    """silu(Norm(x)) of rows [TILE, D]."""
    channel = tl.arange(0, D)
    x -= (tl.sum(x, 1) / D)[:, None]
    x *= tl.rsqrt(tl.sum(x * x, 1) / D + _EPSILON)[:, None]
    x = x * tl.load(weight + channel)[None, :] + tl.load(bias + channel)[None, :]
    return x / (1 + tl.exp(-x))


@triton.jit
def _transposed(weight, INPUTS: tl.constexpr, OUTPUTS: tl.constexpr):
    """A weight [outputs, inputs] as [inputs, outputs]."""
    return tl.load(weight + tl.arange(0, OUTPUTS)[None, :] * INPUTS + tl.arange(0, INPUTS)[:, None])


@triton.jit
def _after_attention(
    x, attended, out, output, output_bias, norm, norm_bias, expand, expand_norm, expand_norm_bias, contract,
    rows, D: tl.constexpr, TILE: tl.constexpr,
):  # fmt: skip
    """Each program takes every so many tiles of tokens, so that the weights stay in its shared memory."""
    output = _transposed(output, D, D)
    expand = _transposed(expand, D, 2 * D)
    contract = _transposed(contract, 2 * D, D)
    shift = tl.load(output_bias + tl.arange(0, D)).to(tl.float32)[None, :]
    kind = x.dtype.element_ty
    for tile in tl.range(tl.program_id(0), tl.cdiv(rows, TILE), tl.num_programs(0), num_stages=1):
        row = (tile * TILE + tl.arange(0, TILE)).to(tl.int64)
        inside = (row < rows)[:, None]
        places = row[:, None] * D + tl.arange(0, D)[None, :]
        y = tl.load(x + places, mask=inside, other=0.0).to(tl.float32) + shift
        y = tl.dot(tl.load(attended + places, mask=inside, other=0.0), output, y)
        hidden = _activated_norm(y, norm, norm_bias, D).to(kind)
        hidden = tl.dot(hidden, expand)
        hidden = _activated_norm(hidden, expand_norm, expand_norm_bias, 2 * D).to(kind)
        y = tl.dot(hidden, contract, y)
        tl.store(out + places, y.to(kind), mask=inside)


@triton_op("jetformer::after_attention", mutates_args={})
def after_attention(
    x: Tensor, attended: Tensor, output: Tensor, output_bias: Tensor, norm: Tensor, norm_bias: Tensor,
    expand: Tensor, expand_norm: Tensor, expand_norm_bias: Tensor, contract: Tensor,
) -> Tensor:  # fmt: skip
    """x, attended [tokens, d] -> [tokens, d]; float16 or bfloat16, contiguous, d a power of 2 from 16 on; no gradients.

    output [d, d], expand [2 d, d], contract [d, 2 d]: as PyTorch keeps them, [outputs, inputs]
    """
    out = torch.empty_like(x)
    # In Triton's interpreter, which tests use, there is one.
    processors = torch.cuda.get_device_properties(x.device).multi_processor_count if x.is_cuda else 1
    programs = min(_PROGRAMS * processors, triton.cdiv(len(x), _TILE))
    wrap_triton(_after_attention)[(programs,)](
        x, attended, out, output, output_bias, norm, norm_bias, expand, expand_norm, expand_norm_bias, contract,
        len(x), D=x.shape[1], TILE=_TILE, num_warps=_WARPS,
    )  # fmt: skip
    return out
