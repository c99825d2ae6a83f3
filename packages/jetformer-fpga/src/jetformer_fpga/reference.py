"""The equations of the interface "model state 1.0" in numpy int64: the oracle that the circuit is measured against.

    t      = [class_token, Q[tokens](We x + be)]
    q,k,v  = Q(W t + b)            s_ij = Q[score](q_i . k_j)            n_ij = Q[exponent](max_j' s_ij' - s_ij)
    e_ij   = exp_table[n_ij]       r_i  = reciprocal_table[Q[sum](sum_j e_ij)]
    o_i    = Q[attended](r_i * Q[weighted](sum_j e_ij v_j))
    t      = Q[residual](t + Wo o + bo)
    t      = Q[output](t + W2 Q[hidden](ReLU(W1 Q[input](ReLU(sign * t + offset)) + b1)))
    logits = Q[logits](Wh t[0] + bh)

It is written straight from these lines and shares nothing with `network` or `tracer`, so that it can't share their
faults. Only integers, products and shifts are used; a sum that could leave 62 bits is refused.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .errors import FpgaError
from .fixed_point import Codes, Format, quantise
from .state import State


@dataclass(frozen=True)
class Exact:
    """The exact numbers `n * 2**-f`, all on one grid."""

    n: Codes
    f: int

    def on(self, f: int) -> Codes:
        """The codes on a finer grid."""
        return self.n << (f - self.f)

    def __add__(self, other: Exact) -> Exact:
        f = max(self.f, other.f)
        return Exact(self.on(f) + other.on(f), f)


def exact(codes: Codes, fmt: Format) -> Exact:
    """Bring codes on many grids to the finest of them."""
    f = int(fmt.f.max())
    return Exact(codes << (f - fmt.f), f)


def dot(equation: str, a: Exact, b: Exact, terms: int) -> Exact:
    """einsum without rounding; `terms` products are added up for each result."""
    if int(np.abs(a.n).max(initial=0)) * int(np.abs(b.n).max(initial=0)) * terms >= 1 << 62:
        raise FpgaError("The formats of this state need sums of more than 62 bits; narrow them.")
    return Exact(np.einsum(equation, a.n, b.n), a.f + b.f)


def logits(state: State, x: Codes, mask: NDArray[np.bool_]) -> Codes:
    """Codes of the logits `[jets, C]` from the codes of the inputs `[jets, P, F]`; mask `[jets, P]`, True = real."""
    pieces = [
        _logits(state, x[start : start + 1024], mask[start : start + 1024])
        for start in range(0, len(x), 1024)
    ]
    return np.concatenate(pieces) if pieces else np.zeros((0, state.architecture.classes), dtype=np.int64)


def _logits(state: State, x: Codes, mask: NDArray[np.bool_]) -> Codes:
    real = np.concatenate([np.ones((len(x), 1), dtype=bool), mask], axis=1)
    t = _tokens(state, exact(np.where(mask[..., None], x, 0), state.activations["input"]))
    for number in range(state.architecture.blocks):
        t = _attention(state, number, t, real)
        t = _feedforward(state, number, t)
    answer = _linear(state, "head", Exact(t.n[:, 0], t.f))
    return quantise(answer.n, answer.f, state.activations["logits"])


def _tokens(state: State, x: Exact) -> Exact:
    """t = [class_token, Q[tokens](We x + be)]"""
    constituents = _q(state, "tokens", _linear(state, "embedding", x))
    class_token = _tensor(state, "class_token")
    f = max(class_token.f, constituents.f)
    first = np.broadcast_to(class_token.on(f), (len(x.n), 1, class_token.n.size))
    return Exact(np.concatenate([first, constituents.on(f)], axis=1), f)


def _attention(state: State, number: int, t: Exact, real: NDArray[np.bool_]) -> Exact:
    name = f"{state.block(number)}attention."
    q, k, v = (
        _heads(state, _q(state, name + activation, _linear(state, name + letter, t)))
        for letter, activation in (("q", "query"), ("k", "key"), ("v", "value"))
    )
    key_is_real = real[:, None, None, :]
    s = _q(state, name + "score", dot("jihc,jkhc->jhik", q, k, q.n.shape[-1]))
    maximum = np.where(key_is_real, s.n, np.iinfo(np.int64).min).max(axis=-1, keepdims=True)
    exponent = quantise(maximum - s.n, s.f, state.activations[name + "exponent"])
    e_table = _tensor(state, name + "exp_table")
    e = Exact(np.where(key_is_real, e_table.n[exponent], 0), e_table.f)
    total = quantise(e.n.sum(axis=-1), e.f, state.activations[name + "sum"])
    r_table = _tensor(state, name + "reciprocal_table")
    r = Exact(r_table.n[total], r_table.f)
    tokens, a = real.shape[1], state.architecture.attention_dims[number]
    weighted = _q(state, name + "weighted", _merge(dot("jhik,jkhc->jihc", e, v, tokens), a))
    o = dot("jhi,jihc->jihc", r, _heads(state, weighted), 1)
    attended = _q(state, name + "attended", _merge(o, a))
    return _q(state, name + "residual", t + _linear(state, name + "output", attended))


def _feedforward(state: State, number: int, t: Exact) -> Exact:
    name = f"{state.block(number)}feedforward."
    signed = Exact(state.tensors[name + "sign"].codes * t.n, t.f)
    u = _q(state, name + "input", _relu(signed + _tensor(state, name + "offset")))
    h = _q(state, name + "hidden", _relu(_linear(state, name + "expand", u)))
    return _q(state, name + "output", t + _linear(state, name + "contract", h, bias=False))


def _q(state: State, activation: str, value: Exact) -> Exact:
    """Q[activation]"""
    fmt = state.activations[activation]
    return exact(quantise(value.n, value.f, fmt), fmt)


def _tensor(state: State, name: str) -> Exact:
    tensor = state.tensors[name]
    return exact(tensor.codes, tensor.format)


def _linear(state: State, name: str, x: Exact, bias: bool = True) -> Exact:
    product = dot("oi,...i->...o", _tensor(state, f"{name}.weight"), x, x.n.shape[-1])
    return product + _tensor(state, f"{name}.bias") if bias else product


def _relu(x: Exact) -> Exact:
    return Exact(np.maximum(x.n, 0), x.f)


def _heads(state: State, x: Exact) -> Exact:
    """`[jets, tokens, a]`, head-major, to `[jets, tokens, heads, a / heads]`."""
    return Exact(x.n.reshape(*x.n.shape[:2], state.architecture.heads, -1), x.f)


def _merge(x: Exact, a: int) -> Exact:
    return Exact(x.n.reshape(*x.n.shape[:2], a), x.f)
