"""Makes valid fixed-point states with random weights, for tests and for trying the tools: a JetFormer of any size, and
small networks of other kinds (`NETWORKS`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from .sketch import CLASSES, FEATURES, Kif, Sketch

__all__ = ["CLASSES", "FEATURES", "NETWORKS", "Sketch", "random_state"]


def random_state(
    path: str | Path,
    *,
    seed: int,
    constituents: int = 8,
    features: int = 3,
    embed_dim: int = 8,
    heads: int = 2,
    attention_dims: Sequence[int] = (4, 4, 4, 4),
    feedforward_dims: Sequence[int] = (8, 8, 8, 8),
    classes: int = 5,
    weight_bits: int = 6,
    activation_bits: int = 8,
) -> Path:
    """Write a valid fixed-point JetFormer with seeded random weights, scaled so that signals are alive in every layer.

    Weights have one format an output channel, activations alternate between two neighbouring formats from channel
    to channel: all the freedoms of the interface are used.
    """
    architecture = {
        "name": "jetformer", "embed_dim": embed_dim, "heads": heads, "attention_dims": list(attention_dims),
        "feedforward_dims": list(feedforward_dims), "norm": "batch", "activation": "relu", "dropout": 0.0,
    }  # fmt: skip
    sizes = {"constituents": constituents, "features": features, "classes": classes}
    made = _JetFormer(seed, activation_bits, weight_bits, architecture, sizes)
    t, real = made.tokens(embed_dim)
    for number, (a, m) in enumerate(zip(attention_dims, feedforward_dims, strict=True)):
        last = number == len(attention_dims) - 1
        t = made.attention(f"blocks.{number}.attention.", t, real, a, heads, 1 if last else constituents + 1)
        t = made.feedforward(f"blocks.{number}.feedforward.", t, m)
    made.head(t)
    return made.sketch.write(path)


class _JetFormer:
    """The graph of docs/interfaces/model-state.md, block by block."""

    def __init__(
        self, seed: int, bits: int, weight_bits: int, architecture: dict[str, object], sizes: dict[str, int]
    ) -> None:
        self.bits, self.table_bits = bits, min(bits, 8)
        self.sketch = Sketch(seed=seed, weight_bits=weight_bits, architecture=architecture, **sizes)

    def q(self, name: str, x: str, signed: int = 1, integers: int = 2) -> str:
        """Q with one format a channel (last axis), two neighbouring ones in turn."""
        return self.sketch.quantise(name, x, self.channels(self.sketch.shape(x)[-1], signed, integers))

    def channels(self, size: int, signed: int = 1, integers: int = 2) -> Kif:
        odd = np.arange(size) % 2
        return np.stack([signed + 0 * odd, integers + odd, self.bits - signed - integers - odd], axis=-1)

    def tokens(self, embed_dim: int) -> tuple[str, str]:
        s = self.sketch
        values = s.rng.normal(0.0, 0.5, size=(1, embed_dim))
        class_token = s.parameter("class_token", values, (1, 1, self.bits - 2))
        x = s.features(self.channels(s.feature_count))
        tokens = self.q("tokens", s.linear("embedding", x, embed_dim, bias_bits=self.bits))
        always = s.parameter("always", [1.0], (0, 1, 0))
        real = s.op("concatenate", "real", always, s.mask(), axis=0)
        return s.op("concatenate", "sequence", class_token, tokens, axis=0), real

    def attention(self, name: str, t: str, real: str, a: int, heads: int, queries: int) -> str:
        s, bits, table_bits = self.sketch, self.bits, self.table_bits
        asking = t if queries > 1 else s.op("slice", f"{name}asking", t, axis=0, start=0, stop=1)
        query, key, value = (
            s.heads(f"{name}{word}", self.q(f"{name}{word}", s.linear(f"{name}{word[0]}", x, a, bias_bits=bits)), heads)
            for word, x in (("query", asking), ("key", t), ("value", t))
        )  # fmt: skip
        turned = s.op("transpose", f"{name}key.turned", key, axes=[0, 2, 1])
        score = s.quantise(f"{name}score", s.op("matmul", f"{name}products", query, turned), (1, 3, bits - 4))
        greatest = s.op("maximum", f"{name}greatest", score, real, axis=2, keep=True)
        distance = s.op("subtract", f"{name}distance", greatest, score)
        exponent_kif = (0, 3, table_bits - 3 if table_bits < 6 else 3)
        exponent = s.quantise(f"{name}exponent", distance, exponent_kif)
        exp = s.table(f"{name}exp", exponent, "exp", (0, 1, bits - 1))
        e = s.op("gate", f"{name}weights", exp, real)
        total = s.quantise(
            f"{name}sum", s.op("sum", f"{name}total", e, axis=2, keep=True), (0, 4, table_bits - 4)
        )
        reciprocal = s.table(f"{name}reciprocal", total, "reciprocal", (0, 1, bits - 1))
        by_head = np.asarray(self.channels(a, 1, 4)).reshape(heads, 1, a // heads, 3)
        weighted = s.quantise(f"{name}weighted", s.op("matmul", f"{name}mixed", e, value), by_head)
        scaled = s.merge(f"{name}scaled", s.op("multiply", f"{name}scaled", reciprocal, weighted))
        attended = self.q(f"{name}attended", scaled)
        output = s.linear(f"{name}output", attended, s.shape(t)[-1], bias_bits=bits)
        return self.q(f"{name}residual", s.op("add", f"{name}added", asking, output))

    def feedforward(self, name: str, t: str, m: int) -> str:
        s, d = self.sketch, self.sketch.shape(t)[-1]
        sign = s.parameter(f"{name}sign", s.rng.choice([-1.0, 1.0], size=d), (1, 1, 0))
        offset = s.parameter(f"{name}offset", s.rng.normal(0.0, 0.5, size=d), (1, 1, self.bits - 2))
        signed = s.op("multiply", f"{name}signed", t, sign)
        live = s.op("relu", f"{name}live", s.op("add", f"{name}shifted", signed, offset))
        u = self.q(f"{name}input", live, signed=0)
        expanded = s.op("relu", f"{name}active", s.linear(f"{name}expand", u, m, bias_bits=self.bits))
        h = self.q(f"{name}hidden", expanded, signed=0)
        contracted = s.linear(f"{name}contract", h, d, bias=False)
        return self.q(f"{name}output", s.op("add", f"{name}added", t, contracted))

    def head(self, t: str) -> str:
        s = self.sketch
        first = s.op("slice", "class_token_out", t, axis=0, start=0, stop=1)
        flat = s.op("reshape", "class_token_flat", first, shape=[s.shape(t)[-1]])
        return self.q("logits", s.linear("head", flat, s.classes, bias_bits=self.bits), integers=4)


def _tokens(s: Sketch, width: int) -> str:
    return s.quantise("tokens", s.linear("embedding", s.features(), width), (1, 2, 5))


def _finish(s: Sketch, flat: str) -> None:
    s.quantise("logits", s.linear("head", flat, s.classes), (1, 4, 3))


def _pooled(s: Sketch, x: str) -> str:
    """The mean over real constituents: a sum and a table of 1 / n."""
    gated = s.op("gate", "pooled_live", x, s.mask(s.constituents, 1))
    total = s.op("sum", "total", gated, axis=0, keep=False)
    count = s.quantise(
        "count", s.op("sum", "number", s.mask(s.constituents, 1), axis=0, keep=False), (0, 4, 0)
    )
    one_over = s.table("one_over", count, "reciprocal", (0, 1, 7))
    return s.quantise("mean", s.op("multiply", "total_over", total, one_over), (1, 2, 5))


def mean_pooling(s: Sketch) -> None:
    _finish(s, _pooled(s, _tokens(s, 3)))


def maximum_pooling(s: Sketch) -> None:
    """The greatest over real constituents, channel by channel: 0 for a jet without any."""
    greatest = s.op("maximum", "greatest", _tokens(s, 3), s.mask(s.constituents, 1), axis=0)
    spread = s.op("subtract", "below", greatest, s.parameter("half", [0.5], (0, 1, 2)))
    _finish(s, s.quantise("pooled", spread, (1, 2, 4)))


def relu_attention(s: Sketch) -> None:
    """Scores through ReLU instead of softmax, a scale of 1 / P, two heads."""
    t = _tokens(s, 4)
    q, k, v = (s.heads(name, s.quantise(name, s.linear(f"{name}.w", t, 4), (1, 2, 4)), 2) for name in "qkv")
    scores = s.op("matmul", "scores", q, s.op("transpose", "k.turned", k, axes=[0, 2, 1]))
    live = s.quantise("live_scores", s.op("relu", "positive", scores), (0, 3, 3))
    weights = s.op("gate", "weights", live, s.mask(1, 1, s.constituents))
    mixed = s.merge("mixed", s.op("matmul", "products", weights, v))
    scaled = s.op("multiply", "scaled", mixed, s.parameter("scale", [0.25], (0, 0, 2)))
    added = s.op("add", "added", t, s.quantise("attended", scaled, (1, 2, 4)))
    _finish(s, _pooled(s, s.quantise("residual", added, (1, 3, 4))))


def linear_attention(s: Sketch) -> None:
    """ReLU features of q and k, (k^T v) first: no softmax, work that grows with P, not with its square."""
    t = _tokens(s, 4)
    q, k, v = (s.quantise(name, s.linear(f"{name}.w", t, 3), (1, 2, 4)) for name in "qkv")
    features = [s.op("relu", f"{name}.feature", x) for name, x in (("q", q), ("k", k))]
    keys = s.op("gate", "keys", features[1], s.mask(s.constituents, 1))
    memory = s.op("matmul", "memory", s.op("transpose", "keys.turned", keys, axes=[1, 0]), v)
    kept = s.quantise("kept", memory, (1, 4, 2))
    mixed = s.quantise("mixed", s.op("matmul", "read", features[0], kept), (1, 4, 2))
    _finish(s, _pooled(s, s.quantise("more", s.linear("output", mixed, 3), (1, 3, 3))))


def jedi_linear(s: Sketch) -> None:
    """Every constituent meets the sum of all: W1 x_i + W2 sum_j x_j."""
    t = s.op("gate", "real_tokens", _tokens(s, 4), s.mask(s.constituents, 1))
    total = s.quantise("everyone", s.op("sum", "total_all", t, axis=0, keep=True), (1, 4, 4))
    met = s.op("add", "met", s.linear("own", t, 5), s.linear("others", total, 5, bias=False))
    _finish(s, _pooled(s, s.quantise("met_live", s.op("relu", "active", met), (0, 3, 4))))


def perceptron(s: Sketch) -> None:
    """All inputs in one row."""
    flat = s.op("reshape", "flat", s.features(), shape=[s.constituents * s.feature_count])
    hidden = s.op("relu", "active", s.linear("expand", flat, 6))
    _finish(s, s.quantise("hidden", hidden, (0, 3, 5)))


def mixer(s: Sketch) -> None:
    """A linear map across constituents (after a transpose), then one across channels."""
    turned = s.op("transpose", "turned", _tokens(s, 3), axes=[1, 0])
    across = s.quantise("across", s.op("relu", "active", s.linear("tokenwise", turned, 4)), (0, 3, 4))
    back = s.op("transpose", "back", across, axes=[1, 0])
    channels = s.quantise("channels", s.linear("channelwise", back, 2), (1, 3, 4))
    _finish(s, s.op("reshape", "row", channels, shape=[8]))


def linformer(s: Sketch) -> None:
    """A constant projection along constituents (parameters on either side of a matmul), a scale that is no power of two."""
    t = _tokens(s, 3)
    left = s.parameter("left", s.rng.normal(size=(2, s.constituents)), (1, 1, 3))
    right = s.parameter("right", s.rng.normal(size=(3, 2)), (1, 1, 3))
    projected = s.op("matmul", "projected", left, t)
    narrow = s.quantise("narrow", s.op("matmul", "narrowed", projected, right), (1, 3, 3))
    scaled = s.op("multiply", "scaled", narrow, s.parameter("gain", [[0.75, -2.0], [0.0, 1.25]], (1, 2, 2)))
    negated = s.op("subtract", "negated", s.parameter("one", [1.0], (0, 1, 0)), scaled)
    _finish(s, s.op("reshape", "row", negated, shape=[4]))


NETWORKS: dict[str, Callable[[Sketch], None]] = {
    network.__name__: network
    for network in (
        mean_pooling, maximum_pooling, relu_attention, linear_attention, jedi_linear, perceptron, mixer, linformer
    )
}  # fmt: skip
