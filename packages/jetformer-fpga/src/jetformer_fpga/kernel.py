"""The integer network as one C++ function that works on many jets side by side: what makes emulation fast.

Only what several operations read gets slots (`loops`). What one operation reads is a formula in the loop of its reader:
a product with a matrix, its ReLU and its rounding are one loop. Rearranging and joining cost nothing. Integers have
32 bits where the intervals of all nodes prove that this is enough, else 64.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial
from string import Template

import numpy as np

from .errors import FpgaError
from .loops import (
    Array,
    Expression,
    Formula,
    Linear,
    Loop,
    Matrix,
    Numbers,
    Printer,
    Reduction,
    Slots,
    Sum,
    Table,
    constant,
    is_stored,
    joined,
    places,
    sum_in,
    taken,
)
from .network import Network
from .nodes import Node

SHORT, LONG = 30, 62  # bits of magnitude that leave room for a rounding constant


def source(network: Network) -> str:
    """C++ with one function: `emulate(inputs, mask, logits, jets)`."""
    kernel = _Kernel(network)
    last = kernel.slots(network.logits)
    place, size = places(kernel.blocks, kernel.loops, last)
    printer = Printer(place)
    body = [line for loop in kernel.loops for line in printer.loop(loop)]
    sizes = {
        "bits": kernel.bits,
        "slots": size,
        "constituents": network.mask.interval.low.size,
        "features": network.features.shape[-1],
        "classes": len(last),
        "logits": printer.array(place[last], "int"),
    }
    return Template("\n".join([PROLOGUE, *printer.definitions(), NETWORK, *body, EPILOGUE])).substitute(sizes)


class _Kernel:
    """The formula of every node, and the loops of those that have slots."""

    def __init__(self, network: Network) -> None:
        nodes = network.nodes()
        magnitude = max(_bits(node) for node in nodes)
        if magnitude > LONG:
            raise FpgaError("The formats of this state need sums of more than 62 bits; narrow them.")
        self.bits = 32 if magnitude <= SHORT else 64
        self.blocks: list[range] = []
        self.loops: list[Loop] = []
        self.found: dict[int, Expression] = {
            id(node): Slots(self.block(node)) for node in (network.features, network.mask)
        }
        readers = Counter(id(source) for node in nodes for source in node.sources)
        for node in nodes:
            if node.op != "input":
                self.found[id(node)] = FORMULAS[node.op](self, node)
            if readers[id(node)] > 1 and not is_stored(self.found[id(node)]):
                self.slots(node)

    def block(self, node: Node) -> Array:
        start = self.blocks[-1].stop if self.blocks else 0
        self.blocks.append(range(start, start + node.interval.low.size))
        return np.arange(start, self.blocks[-1].stop)

    def slots(self, node: Node) -> Array:
        """The slots of a node, which gets some if it has none."""
        found = self.found[id(node)]
        if not isinstance(found, Slots):
            at = self.block(node)
            self.loops.append(Loop(node.layer, at, found))
            found = self.found[id(node)] = Slots(at)
        return found.at

    def elements(self, node: Node, index: Array | None = None) -> Expression:
        """Elements at flat positions, by default all, of which nothing is computed twice and no sum is out of order."""
        found = self.found[id(node)]
        size = node.interval.low.size
        if index is None or np.array_equal(index, np.arange(size)):
            return found
        if not is_stored(found) and (sum_in(found) or len(np.unique(index)) < index.size):
            found = Slots(self.slots(node))
        return taken(found, index.ravel())

    def spread(self, node: Node, shape: tuple[int, ...]) -> Expression:
        """The elements of a node as those of an array of `shape`."""
        index = np.broadcast_to(np.arange(node.interval.low.size).reshape(node.shape), shape)
        return self.elements(node, index.ravel())

    def without_sum(self, node: Node) -> Expression:
        found = self.found[id(node)]
        return Slots(self.slots(node)) if sum_in(found) else found

    def pair(self, node: Node) -> tuple[Expression, Expression]:
        """Both sources, at most one of them with a sum."""
        a, b = (self.spread(source, node.shape) for source in node.sources)
        if sum_in(a) and sum_in(b):
            b = Slots(self.slots(node.sources[1]))
        return a, b


def _bits(node: Node) -> int:
    """Bits of the largest magnitude that is met on the way to a node's elements."""
    interval = node.interval
    largest = max(int(np.abs(interval.low).max(initial=0)), int(np.abs(interval.high).max(initial=0)))
    if node.op == "quantise":
        i, fmt = node.sources[0].interval, node.attributes["format"]
        up = np.maximum(fmt.f - i.fraction, 0)
        reach = np.maximum(np.abs(i.low), np.abs(i.high)).astype(np.float64) * np.exp2(up.astype(np.float64))
        largest = max(largest, int(reach.max(initial=0)))
    if node.op in ("add", "total", "maximum"):
        for source in node.sources:
            i = source.interval
            finest = interval.fraction if node.op == "add" else interval.fraction[..., None]
            reach = np.maximum(np.abs(i.low), np.abs(i.high)) * np.exp2(
                (finest - i.fraction).astype(np.float64)
            )
            largest = max(largest, int(reach.max(initial=0)))
    return largest.bit_length()


def _numbers(values: object, shape: tuple[int, ...]) -> Numbers:
    return Numbers(np.broadcast_to(np.asarray(values, dtype=np.int64), shape).ravel())


def _shifted(x: Expression, shift: Array, shape: tuple[int, ...]) -> Expression:
    return Formula("({} << {})", (x, _numbers(shift, shape))) if shift.any() else x


def _rearrange(k: _Kernel, node: Node) -> Expression:
    return k.elements(node.sources[0], node.attributes["index"].ravel())


def _concatenate(k: _Kernel, node: Node) -> Expression:
    """Sources that are computed in different ways get slots."""
    found = joined([k.elements(source) for source in node.sources])
    return found or Slots(np.concatenate([k.slots(source) for source in node.sources]))


def _linear(k: _Kernel, node: Node) -> Expression:
    """Rows whose inputs and outputs have the same steps share one matrix of integers."""
    weight, bias = node.attributes["weight"], node.attributes["bias"]
    outs, ins = weight.codes.shape
    grid = np.broadcast_to(weight.format.f, weight.codes.shape)
    x_steps = node.sources[0].interval.fraction.reshape(-1, ins)
    y_steps = node.interval.fraction.reshape(-1, outs)
    kinds, which = np.unique(np.concatenate([x_steps, y_steps], axis=1), axis=0, return_inverse=True)
    matrices = []
    for kind, steps in enumerate(kinds):
        codes = weight.codes << np.where(weight.codes != 0, steps[ins:, None] - grid - steps[:ins], 0)
        start = np.zeros(outs, dtype=np.int64)
        if bias is not None:
            fraction = np.broadcast_to(bias.format.f, bias.codes.shape)
            start = bias.codes << np.where(bias.codes != 0, steps[ins:] - fraction, 0)
        matrices.append(Matrix(np.flatnonzero(which.ravel() == kind), codes, start))
    return Sum(Linear(k.without_sum(node.sources[0]), tuple(matrices)))


def _add(k: _Kernel, node: Node) -> Expression:
    shifts = (node.interval.fraction - source.interval.fraction for source in node.sources)
    a, b = (_shifted(x, shift, node.shape) for x, shift in zip(k.pair(node), shifts, strict=True))
    return Formula("({} + {})", (a, b))


def _reduction(step: str, k: _Kernel, node: Node) -> Expression:
    """Over the last axis, with every term brought to the finest grid of its row."""
    x = node.sources[0]
    shift = node.interval.fraction[..., None] - x.interval.fraction
    return Sum(Reduction(_shifted(k.without_sum(x), shift, x.shape), x.shape[-1], step))


def _gate(k: _Kernel, node: Node) -> Expression:
    x, mask = k.pair(node)
    return Formula("gate({}, {}, {})", (mask, x, _numbers(node.attributes["otherwise"], node.shape)))


def _quantise(k: _Kernel, node: Node) -> Expression:
    """No number has as many bits as an integer, so that a longer shift changes nothing more."""
    fmt, fraction = node.attributes["format"], node.sources[0].interval.fraction
    drop = np.where(fmt.width > 0, fraction - fmt.f, 0)
    down, up = np.clip(drop, 0, k.bits - 1), np.clip(-drop, 0, k.bits - 1)
    half = np.where(down > 0, 1 << np.maximum(down - 1, 0), 0)
    x = _shifted(k.elements(node.sources[0]), up, node.shape)
    if down.any():
        x = Formula("(({} + {}) >> {})", (x, _numbers(half, node.shape), _numbers(down, node.shape)))
    return Formula("clamp({}, {}, {})", (x, _numbers(fmt.low, node.shape), _numbers(fmt.high, node.shape)))


def _table(k: _Kernel, node: Node) -> Expression:
    """Tables that are the same are stored once."""
    starts: dict[bytes, int] = {}
    stored: list[int] = []
    offsets = []
    for entries, low in zip(
        node.attributes["entries"], node.sources[0].interval.low.ravel().tolist(), strict=True
    ):
        key = entries.tobytes()
        if key not in starts:
            starts[key] = len(stored)
            stored += entries.tolist()
        offsets.append(starts[key] - low)
    at = _numbers(np.reshape(offsets, node.shape), node.shape)
    return Formula("look_up({}, {} + {})", (Table(np.array(stored)), k.elements(node.sources[0]), at))


FORMULAS: dict[str, Callable[[_Kernel, Node], Expression]] = {
    "constant": lambda k, node: constant(node.interval.low.ravel()),
    "rearrange": _rearrange,
    "concatenate": _concatenate,
    "linear": _linear,
    "add": _add,
    "multiply": lambda k, node: Formula("({} * {})", k.pair(node)),
    "negate": lambda k, node: Formula("(-{})", (k.elements(node.sources[0]),)),
    "total": partial(_reduction, "sum + {}"),
    "maximum": partial(_reduction, "larger(sum, {})"),
    "gate": _gate,
    "unsigned": lambda k, node: k.elements(node.sources[0]),
    "relu": lambda k, node: Formula("larger({}, all(0))", (k.elements(node.sources[0]),)),
    "quantise": _quantise,
    "table": _table,
}

PROLOGUE = """#include <cstdint>
#include <memory>

#if defined(__AVX512F__)
constexpr int BYTES = 64;  // that the processor works on at once: with more, compilers take the vectors apart
#elif defined(__AVX2__)
constexpr int BYTES = 32;
#else
constexpr int BYTES = 16;
#endif
using Int = std::int${bits}_t;
constexpr int L = BYTES / sizeof(Int);
typedef Int Lanes __attribute__((vector_size(BYTES)));  // one number of each of L jets

static inline Lanes all(Int x) { return Lanes{} + x; }
static inline Lanes larger(Lanes a, Lanes b) { return a > b ? a : b; }
static inline Lanes smaller(Lanes a, Lanes b) { return a < b ? a : b; }
static inline Lanes clamp(Lanes x, Int low, Int high) { return smaller(larger(x, all(low)), all(high)); }
static inline Lanes gate(Lanes mask, Lanes x, Int otherwise) { return mask != 0 ? x : all(otherwise); }
static inline Lanes look_up(const Int* table, Lanes at) {
    Lanes found;
    for (int l = 0; l < L; ++l) found[l] = table[at[l]];
    return found;
}
template <int Terms> static inline Lanes dot(const Lanes* x, const Int* weight) {
    Lanes sum = weight[0] * x[0];
    for (int i = 1; i < Terms; ++i) sum += weight[i] * x[i];
    return sum;
}
"""

NETWORK = """
static void network(Lanes* v) {"""

EPILOGUE = """}

extern "C" void emulate(const std::int64_t* inputs, const std::uint8_t* mask, std::int64_t* logits, std::int64_t jets) {
    struct Work { Lanes v[$slots]; };
    auto work = std::make_unique<Work>();
    Lanes* v = work->v;
    for (std::int64_t start = 0; start < jets; start += L) {
        const int here = jets - start < L ? int(jets - start) : L;
        for (int l = 0; l < L; ++l)  // beyond the last jet: jets without constituents
            for (int c = 0; c < $constituents; ++c) {
                const std::int64_t at = (start + l) * $constituents + c;
                const bool real = l < here && mask[at];
                for (int f = 0; f < $features; ++f)
                    v[c * $features + f][l] = real ? Int(inputs[at * $features + f]) : 0;
                v[$constituents * $features + c][l] = real;
            }
        network(v);
        for (int l = 0; l < here; ++l)
            for (int n = 0; n < $classes; ++n) logits[(start + l) * $classes + n] = v[$logits[n]][l];
    }
}
"""
