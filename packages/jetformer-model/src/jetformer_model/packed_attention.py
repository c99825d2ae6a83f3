"""Attention inside each jet of a packed batch, as Triton kernels for a GPU.

    O = softmax(Q K^T / sqrt(D)) V                                 per jet and head; D channels a head
    dV = P^T dO;  dS = P (dO V^T - rowsum(dO O));  dQ = dS K / sqrt(D);  dK = dS^T Q / sqrt(D)

A jet has some forty tokens and a head sixteen channels: flash attention made for long texts spends two thirds of a whole
network's time on them (H100, torch 2.11: 3.0 ms a layer of 16,384 jets). Here one program takes one head of one jet.
Sums are in float32. Of the forward pass, the logarithms of P's row sums are kept (Dao et al., arXiv:2205.14135).
"""

from __future__ import annotations

import math

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.library import triton_op, wrap_triton

# Rows a step and warps a program, the fastest of 32, 64, 128 and 1, 2, 4, 8 on an H100 for jets of 42 +- 16 constituents.
_FORWARD, _FORWARD_WARPS = 32, 2
_BACKWARD, _BACKWARD_WARPS = 64, 4
_LEAST = 16  # the narrowest matrix product


@triton.jit
def _rows(pointer, first, rows, bound, stride, head, DIM: tl.constexpr, WIDE: tl.constexpr):
    """Rows `first + rows` of one head, zeros from `bound` on: [block, WIDE]."""
    column = tl.arange(0, WIDE)
    inside = (rows < bound)[:, None] & (column < DIM)[None, :]
    places = (first + rows).to(tl.int64)[:, None] * stride + head * DIM + column[None, :]
    return tl.load(pointer + places, mask=inside, other=0.0)


@triton.jit
def _store(pointer, values, first, rows, bound, stride, head, DIM: tl.constexpr, WIDE: tl.constexpr):
    column = tl.arange(0, WIDE)
    inside = (rows < bound)[:, None] & (column < DIM)[None, :]
    places = (first + rows).to(tl.int64)[:, None] * stride + head * DIM + column[None, :]
    tl.store(pointer + places, values.to(pointer.dtype.element_ty), mask=inside)


@triton.jit
def _forward(
    q, k, v, o, logsum, q_offsets, k_offsets, q_stride, k_stride, v_stride, o_stride,
    SCALE: tl.constexpr, HEADS: tl.constexpr, DIM: tl.constexpr, WIDE: tl.constexpr,
    Q_BLOCK: tl.constexpr, K_BLOCK: tl.constexpr,
):  # fmt: skip
    jet, head = tl.program_id(0) // HEADS, tl.program_id(0) % HEADS
    q_first, k_first = tl.load(q_offsets + jet), tl.load(k_offsets + jet)
    queries, keys = tl.load(q_offsets + jet + 1) - q_first, tl.load(k_offsets + jet + 1) - k_first
    for q_start in range(0, queries, Q_BLOCK):
        q_rows = q_start + tl.arange(0, Q_BLOCK)
        query = _rows(q, q_first, q_rows, queries, q_stride, head, DIM, WIDE)
        largest = tl.full([Q_BLOCK], -1e30, tl.float32)
        total = tl.zeros([Q_BLOCK], tl.float32)
        sums = tl.zeros([Q_BLOCK, WIDE], tl.float32)
        for k_start in range(0, keys, K_BLOCK):
            k_rows = k_start + tl.arange(0, K_BLOCK)
            key = _rows(k, k_first, k_rows, keys, k_stride, head, DIM, WIDE)
            score = tl.dot(query, tl.trans(key), input_precision="ieee") * SCALE
            score = tl.where((k_rows < keys)[None, :], score, -1e30)
            new = tl.maximum(largest, tl.max(score, 1))
            p = tl.exp2(score - new[:, None])
            shrink = tl.exp2(largest - new)
            value = _rows(v, k_first, k_rows, keys, v_stride, head, DIM, WIDE)
            sums = tl.dot(p.to(value.dtype), value, sums * shrink[:, None], input_precision="ieee")
            total = total * shrink + tl.sum(p, 1)
            largest = new
        _store(o, sums / total[:, None], q_first, q_rows, queries, o_stride, head, DIM, WIDE)
        tl.store(logsum + (q_first + q_rows) * HEADS + head, largest + tl.log2(total), mask=q_rows < queries)


@triton.jit
def _backward(
    q, k, v, o, grad, logsum, q_grad, k_grad, v_grad, q_offsets, k_offsets,
    q_stride, k_stride, v_stride, o_stride, grad_stride,
    SCALE: tl.constexpr, NATURAL_SCALE: tl.constexpr, HEADS: tl.constexpr, DIM: tl.constexpr, WIDE: tl.constexpr,
    Q_BLOCK: tl.constexpr, K_BLOCK: tl.constexpr,
):  # fmt: skip
    """The jet's keys block by block, then its queries: no program adds to what another has written."""
    jet, head = tl.program_id(0) // HEADS, tl.program_id(0) % HEADS
    q_first, k_first = tl.load(q_offsets + jet), tl.load(k_offsets + jet)
    queries, keys = tl.load(q_offsets + jet + 1) - q_first, tl.load(k_offsets + jet + 1) - k_first
    width = HEADS * DIM
    for k_start in range(0, keys, K_BLOCK):
        k_rows = k_start + tl.arange(0, K_BLOCK)
        key = _rows(k, k_first, k_rows, keys, k_stride, head, DIM, WIDE)
        value = _rows(v, k_first, k_rows, keys, v_stride, head, DIM, WIDE)
        dk = tl.zeros([K_BLOCK, WIDE], tl.float32)
        dv = tl.zeros([K_BLOCK, WIDE], tl.float32)
        for q_start in range(0, queries, Q_BLOCK):
            q_rows = q_start + tl.arange(0, Q_BLOCK)
            query = _rows(q, q_first, q_rows, queries, q_stride, head, DIM, WIDE)
            do = _rows(grad, q_first, q_rows, queries, grad_stride, head, DIM, WIDE)
            out = _rows(o, q_first, q_rows, queries, o_stride, head, DIM, WIDE)
            lines = tl.load(logsum + (q_first + q_rows) * HEADS + head, mask=q_rows < queries, other=0.0)
            p = tl.exp2(tl.dot(query, tl.trans(key), input_precision="ieee") * SCALE - lines[:, None])
            p = tl.where((q_rows < queries)[:, None] & (k_rows < keys)[None, :], p, 0.0)
            dv = tl.dot(tl.trans(p.to(do.dtype)), do, dv, input_precision="ieee")
            delta = tl.sum(do.to(tl.float32) * out.to(tl.float32), 1)
            ds = p * (tl.dot(do, tl.trans(value), input_precision="ieee") - delta[:, None])
            dk = tl.dot(tl.trans(ds.to(query.dtype)), query, dk, input_precision="ieee")
            if keys <= K_BLOCK:  # most jets: dQ is complete at once
                dq = tl.dot(ds.to(key.dtype), key, input_precision="ieee") * NATURAL_SCALE
                _store(q_grad, dq, q_first, q_rows, queries, width, head, DIM, WIDE)
        _store(k_grad, dk * NATURAL_SCALE, k_first, k_rows, keys, width, head, DIM, WIDE)
        _store(v_grad, dv, k_first, k_rows, keys, width, head, DIM, WIDE)
    if keys > K_BLOCK:
        for q_start in range(0, queries, Q_BLOCK):
            q_rows = q_start + tl.arange(0, Q_BLOCK)
            query = _rows(q, q_first, q_rows, queries, q_stride, head, DIM, WIDE)
            do = _rows(grad, q_first, q_rows, queries, grad_stride, head, DIM, WIDE)
            out = _rows(o, q_first, q_rows, queries, o_stride, head, DIM, WIDE)
            lines = tl.load(logsum + (q_first + q_rows) * HEADS + head, mask=q_rows < queries, other=0.0)
            delta = tl.sum(do.to(tl.float32) * out.to(tl.float32), 1)
            dq = tl.zeros([Q_BLOCK, WIDE], tl.float32)
            for k_start in range(0, keys, K_BLOCK):
                k_rows = k_start + tl.arange(0, K_BLOCK)
                key = _rows(k, k_first, k_rows, keys, k_stride, head, DIM, WIDE)
                value = _rows(v, k_first, k_rows, keys, v_stride, head, DIM, WIDE)
                p = tl.exp2(tl.dot(query, tl.trans(key), input_precision="ieee") * SCALE - lines[:, None])
                p = tl.where((q_rows < queries)[:, None] & (k_rows < keys)[None, :], p, 0.0)
                ds = p * (tl.dot(do, tl.trans(value), input_precision="ieee") - delta[:, None])
                dq = tl.dot(ds.to(key.dtype), key, dq, input_precision="ieee")
            _store(q_grad, dq * NATURAL_SCALE, q_first, q_rows, queries, width, head, DIM, WIDE)


def _constants(width: int, heads: int, block: int, one_query: bool) -> dict[str, int | float]:
    dim = width // heads
    return {
        "SCALE": math.log2(math.e)
        / math.sqrt(dim),  # exp(x) = 2^(x log2 e): the hardware's exponential has base 2
        "HEADS": heads,
        "DIM": dim,
        "WIDE": max(_LEAST, triton.next_power_of_2(dim)),
        "Q_BLOCK": _LEAST if one_query else block,
        "K_BLOCK": block,
    }


@triton_op("jetformer::packed_attention", mutates_args={})
def packed_attention(
    q: Tensor, k: Tensor, v: Tensor, q_offsets: Tensor, k_offsets: Tensor, heads: int, one_query: bool
) -> tuple[Tensor, Tensor]:
    """softmax(Q K^T / sqrt(D)) V inside each jet, and the logarithm (base 2) of each row's sum.

    q: [queries, a]; k, v: [tokens, a], rows contiguous, all on one GPU; a = H D
    q_offsets, k_offsets: int32 [jets + 1]; a jet has the rows from its offset to the next
    one_query: whether each jet has a single query (the class token)
    Returns [queries, a] and float32 [queries, H].
    """
    out = torch.empty_like(q, memory_format=torch.contiguous_format)
    logsum = torch.empty(len(q), heads, dtype=torch.float32, device=q.device)
    wrap_triton(_forward)[((len(q_offsets) - 1) * heads,)](
        q, k, v, out, logsum, q_offsets, k_offsets, q.stride(0), k.stride(0), v.stride(0), out.stride(0),
        **_constants(q.shape[1], heads, _FORWARD, one_query), num_warps=_FORWARD_WARPS,
    )  # fmt: skip
    return out, logsum


@triton_op("jetformer::packed_attention_backward", mutates_args={})
def packed_attention_backward(
    grad: Tensor, q: Tensor, k: Tensor, v: Tensor, out: Tensor, logsum: Tensor,
    q_offsets: Tensor, k_offsets: Tensor, heads: int, one_query: bool,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """Gradients of q, k and v, of their shapes."""
    q_grad, k_grad, v_grad = (torch.empty_like(x, memory_format=torch.contiguous_format) for x in (q, k, v))
    wrap_triton(_backward)[((len(q_offsets) - 1) * heads,)](
        q, k, v, out, grad, logsum, q_grad, k_grad, v_grad, q_offsets, k_offsets,
        q.stride(0), k.stride(0), v.stride(0), out.stride(0), grad.stride(0),
        NATURAL_SCALE=1 / math.sqrt(q.shape[1] // heads),
        **_constants(q.shape[1], heads, _BACKWARD, one_query), num_warps=_BACKWARD_WARPS,
    )  # fmt: skip
    return q_grad, k_grad, v_grad


def _save(ctx, inputs, output) -> None:
    q, k, v, q_offsets, k_offsets, ctx.heads, ctx.one_query = inputs
    ctx.save_for_backward(q, k, v, *output, q_offsets, k_offsets)


def _differentiate(ctx, grad: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
    q, k, v, out, logsum, q_offsets, k_offsets = ctx.saved_tensors
    grad = grad if grad.stride(1) == 1 else grad.contiguous()
    grads = packed_attention_backward(
        grad, q, k, v, out, logsum, q_offsets, k_offsets, ctx.heads, ctx.one_query
    )
    return (*grads, None, None, None, None)


packed_attention.register_autograd(_differentiate, setup_context=_save)
