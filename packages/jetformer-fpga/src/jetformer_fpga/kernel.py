"""The integer network as one C++ function that works on many jets side by side: what makes emulation fast.

Every number of a jet has a slot, a row of LANES integers, one a jet. Rearranging and joining only name
slots: they cost nothing. Each other node is one loop over its elements, whose body is one loop over lanes that compilers
turn into vector instructions. Integers have 32 bits where the intervals of all nodes prove that this is enough, else 64.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import FpgaError
from .fixed_point import Codes
from .network import Network
from .nodes import Node

LANES = 32
SHORT, LONG = 30, 62  # bits of magnitude that leave room for a rounding constant


def source(network: Network) -> str:
    """C++ with one function: `emulate(inputs, mask, logits, jets)`."""
    return _Kernel(network).text()


class _Kernel:
    def __init__(self, network: Network) -> None:
        self.network = network
        self.nodes = network.nodes()
        self.uses = Counter(id(source) for node in self.nodes for source in node.sources)
        self.places: dict[int, NDArray[np.int64]] = {}
        self.size = 0
        self.constants: list[tuple[int, int]] = []
        self.tables: list[str] = []
        self.loops: list[str] = []

    def text(self) -> str:
        for node in self.nodes:
            self.places[id(node)] = EMITTERS[node.op](self, node)
        bits = max(_bits(node) for node in self.nodes)
        if bits > LONG:
            raise FpgaError("The formats of this state need sums of more than 62 bits; narrow them.")
        network = self.network
        self.array("inputs_at", self.places[id(network.features)])
        self.array("mask_at", self.places[id(network.mask)])
        self.array("logits_at", self.places[id(network.logits)])
        fills = "\n".join(f"    fill(v[{slot}], Int({code}LL));" for slot, code in self.constants)
        word = "std::int32_t" if bits <= SHORT else "std::int64_t"
        return "\n".join(
            [
                PROLOGUE.replace("INT", word).replace("LANES", str(LANES)),
                *self.tables,
                f"struct Work {{ alignas(64) Int v[{max(self.size, 1)}][L]; }};",
                "static void prepare(Int (*v)[L]) {",
                fills,
                "}",
                "static void network(Int (*__restrict v)[L]) {",
                *self.loops,
                "}",
                EPILOGUE.replace("INPUTS", str(network.features.interval.low.size))
                .replace("MASKS", str(network.mask.interval.low.size))
                .replace("LOGITS", str(network.logits.interval.low.size)),
            ]
        )

    def slots(self, node: Node) -> NDArray[np.int64]:
        """New slots for a node's elements."""
        count = node.interval.low.size
        self.size += count
        return np.arange(self.size - count, self.size).reshape(node.shape)

    def of(self, node: Node, shape: tuple[int, ...] | None = None) -> NDArray[np.int64]:
        """The slots of a node, spread to a shape."""
        places = self.places[id(node)]
        return places if shape is None else np.broadcast_to(places, shape)

    def array(self, name: str, values: Any, kind: str = "std::int32_t") -> str:
        flat = np.asarray(values).ravel().tolist()
        suffix = "LL" if kind == "Int" else ""
        self.tables.append(
            f"static const {kind} {name}[{max(len(flat), 1)}] = {{{', '.join(f'{v}{suffix}' for v in flat) or '0'}}};"
        )
        return name

    def fresh(self, values: Any, kind: str = "std::int32_t") -> str:
        return self.array(f"t{len(self.tables)}", values, kind)

    def loop(self, node: Node, body: str, **columns: Any) -> NDArray[np.int64]:
        """For every element n: `out[l]` from the columns, each a number an element or, in capitals, a row of slots."""
        places = self.slots(node)
        lines = [f"    // {node.layer}: {node.op}", f"    for (int n = 0; n < {places.size}; ++n) {{"]
        lines.append(f"        Int* __restrict out = v[{int(places.flat[0]) if places.size else 0} + n];")
        for name, values in columns.items():
            values = np.broadcast_to(values, node.shape)
            if name.isupper():
                lines.append(f"        const Int* {name.lower()} = v[{self.fresh(values)}[n]];")
            else:
                same = values.size > 0 and (values == values.flat[0]).all()
                number = f"Int({int(values.flat[0])}LL)" if same else f"{self.fresh(values, 'Int')}[n]"
                lines.append(f"        const Int {name} = {number};")
        lines += [f"        for (int l = 0; l < L; ++l) out[l] = {body};", "    }"]
        self.loops.append("\n".join(lines))
        return places


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


def _input(k: _Kernel, node: Node) -> NDArray[np.int64]:
    return k.slots(node)


def _constant(k: _Kernel, node: Node) -> NDArray[np.int64]:
    places = k.slots(node)
    k.constants += list(zip(places.ravel().tolist(), node.interval.low.ravel().tolist(), strict=True))
    return places


def _rearrange(k: _Kernel, node: Node) -> NDArray[np.int64]:
    return k.of(node.sources[0]).ravel()[node.attributes["index"]]


def _concatenate(k: _Kernel, node: Node) -> NDArray[np.int64]:
    return np.concatenate([k.of(source) for source in node.sources])


def _same(k: _Kernel, node: Node) -> NDArray[np.int64]:
    """What is never below 0 needs no work."""
    return k.of(node.sources[0])


def _linear(k: _Kernel, node: Node) -> NDArray[np.int64]:
    """Rows whose inputs and outputs have the same steps share one matrix of integers."""
    weight, bias = node.attributes["weight"], node.attributes["bias"]
    outs, ins = weight.codes.shape
    codes, grid = weight.codes, np.broadcast_to(weight.format.f, weight.codes.shape)
    places, x = k.slots(node), k.of(node.sources[0]).reshape(-1, ins)
    x_steps = node.sources[0].interval.fraction.reshape(-1, ins)
    y_steps = node.interval.fraction.reshape(-1, outs)
    kinds, which = np.unique(np.concatenate([x_steps, y_steps], axis=1), axis=0, return_inverse=True)
    for kind, steps in enumerate(kinds):
        rows = np.flatnonzero(which.ravel() == kind)
        scaled = codes << np.where(codes != 0, steps[ins:, None] - grid - steps[:ins], 0)
        start = np.zeros(outs, dtype=np.int64)
        if bias is not None:
            fraction = np.broadcast_to(bias.format.f, bias.codes.shape)
            start = bias.codes << np.where(bias.codes != 0, steps[ins:] - fraction, 0)
        arrays = [k.fresh(x[rows]), k.fresh(places.reshape(-1, outs)[rows][:, 0])]
        numbers = [k.fresh(scaled, "Int"), k.fresh(start, "Int")]
        k.loops.append(
            f"    // {node.layer}: linear\n"
            f"    matrix<{ins}, {outs}>(v, {len(rows)}, {', '.join(arrays + numbers)});"
        )
    return places


def _add(k: _Kernel, node: Node) -> NDArray[np.int64]:
    a, b = (node.interval.fraction - source.interval.fraction for source in node.sources)
    columns = {"A": k.of(node.sources[0], node.shape), "B": k.of(node.sources[1], node.shape)}
    return k.loop(node, f"{_shifted('a', a)} + {_shifted('b', b)}", **columns, p=a, q=b)


def _shifted(name: str, shift: Codes) -> str:
    return f"(Int)({name}[l] << {'p' if name == 'a' else 'q'})" if np.any(shift) else f"{name}[l]"


def _multiply(k: _Kernel, node: Node) -> NDArray[np.int64]:
    if k.uses[id(node)] == 1 and _user(k, node).op == "total":
        return np.zeros(node.shape, dtype=np.int64)  # `_total` multiplies on its way
    a, b = (k.of(source, node.shape) for source in node.sources)
    return k.loop(node, "a[l] * b[l]", A=a, B=b)


def _user(k: _Kernel, node: Node) -> Node:
    return next(user for user in k.nodes if any(source is node for source in user.sources))


def _reduction(
    k: _Kernel, node: Node, function: str, factors: Sequence[NDArray[np.int64]]
) -> NDArray[np.int64]:
    """Over the last axis, with every term brought to the finest grid of its row."""
    terms = node.sources[0].shape[-1]
    shift = node.interval.fraction[..., None] - node.sources[0].interval.fraction
    places = k.slots(node)
    arrays = [k.fresh(np.broadcast_to(f, node.sources[0].shape)) for f in factors]
    shifts = [k.fresh(shift)] if shift.any() else []
    kind = f"{function}{'_shifted' if shifts else ''}<{terms}>"
    first = int(places.flat[0])
    k.loops.append(
        f"    // {node.layer}: {node.op}\n    {kind}(v, {places.size}, {first}, {', '.join(arrays + shifts)});"
    )
    return places


def _total(k: _Kernel, node: Node) -> NDArray[np.int64]:
    x = node.sources[0]
    if x.op == "multiply" and k.uses[id(x)] == 1:
        return _reduction(k, node, "dot", [k.of(source, x.shape) for source in x.sources])
    return _reduction(k, node, "total", [k.of(x)])


def _maximum(k: _Kernel, node: Node) -> NDArray[np.int64]:
    return _reduction(k, node, "greatest", [k.of(node.sources[0])])


def _gate(k: _Kernel, node: Node) -> NDArray[np.int64]:
    x, mask = (k.of(source, node.shape) for source in node.sources)
    return k.loop(node, "m[l] ? x[l] : otherwise", X=x, M=mask, otherwise=node.attributes["otherwise"])


def _quantise(k: _Kernel, node: Node) -> NDArray[np.int64]:
    fmt, fraction = node.attributes["format"], node.sources[0].interval.fraction
    drop = np.where(fmt.width > 0, fraction - fmt.f, 0)
    down, up = np.clip(drop, 0, 31), np.clip(-drop, 0, 62)
    half = np.where(down > 0, 1 << np.maximum(down - 1, 0), 0)
    value = "(Int)(x[l] << up)" if up.any() else "x[l]"
    rounded = f"(({value} + half) >> down)" if down.any() else value
    columns = {"low": fmt.low, "high": fmt.high} | ({"up": up} if up.any() else {})
    if down.any():
        columns |= {"half": half, "down": down}
    return k.loop(node, f"clamp({rounded}, low, high)", X=k.of(node.sources[0]), **columns)


def _table(k: _Kernel, node: Node) -> NDArray[np.int64]:
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
    name = k.fresh(stored, "Int")
    at = np.array(offsets, dtype=np.int64).reshape(node.shape)
    return k.loop(node, f"{name}[x[l] + at]", X=k.of(node.sources[0]), at=at)


EMITTERS: dict[str, Callable[[_Kernel, Node], NDArray[np.int64]]] = {
    "input": _input,
    "constant": _constant,
    "rearrange": _rearrange,
    "concatenate": _concatenate,
    "linear": _linear,
    "add": _add,
    "multiply": _multiply,
    "negate": lambda k, node: k.loop(node, "-x[l]", X=k.of(node.sources[0])),
    "total": _total,
    "maximum": _maximum,
    "gate": _gate,
    "unsigned": _same,
    "relu": lambda k, node: k.loop(node, "x[l] > 0 ? x[l] : Int(0)", X=k.of(node.sources[0])),
    "quantise": _quantise,
    "table": _table,
}

PROLOGUE = """#include <cstdint>
#include <memory>

using Int = INT;
constexpr int L = LANES;

static inline void fill(Int* row, Int value) { for (int l = 0; l < L; ++l) row[l] = value; }
static inline Int clamp(Int x, Int low, Int high) { x = x < low ? low : x; return x > high ? high : x; }

template <int In, int Out>
static void matrix(Int (*v)[L], int rows, const std::int32_t* x, const std::int32_t* y, const Int* weight, const Int* bias) {
    for (int r = 0; r < rows; ++r)
        for (int o = 0; o < Out; ++o) {
            Int sum[L];
            fill(sum, bias[o]);
            for (int i = 0; i < In; ++i) {
                const Int* in = v[x[r * In + i]];
                const Int w = weight[o * In + i];
                for (int l = 0; l < L; ++l) sum[l] += w * in[l];
            }
            for (int l = 0; l < L; ++l) v[y[r] + o][l] = sum[l];
        }
}

#define REDUCTION(NAME, PARAMETERS, FIRST, STEP)                                              \\
    template <int Terms> static void NAME(Int (*v)[L], int count, int to, PARAMETERS) {       \\
        for (int n = 0; n < count; ++n) {                                                     \\
            Int sum[L];                                                                       \\
            for (int i = 0; i < Terms; ++i) {                                                 \\
                const int at = n * Terms + i;                                                 \\
                for (int l = 0; l < L; ++l) { const Int term = FIRST; sum[l] = i ? STEP : term; } \\
            }                                                                                 \\
            for (int l = 0; l < L; ++l) v[to + n][l] = sum[l];                                \\
        }                                                                                     \\
    }
#define COMMA ,
#define ONE const std::int32_t* a
#define TWO const std::int32_t* a COMMA const std::int32_t* b
#define SHIFT COMMA const std::int32_t* s
REDUCTION(total, ONE, v[a[at]][l], sum[l] + term)
REDUCTION(total_shifted, ONE SHIFT, (Int)(v[a[at]][l] << s[at]), sum[l] + term)
REDUCTION(dot, TWO, v[a[at]][l] * v[b[at]][l], sum[l] + term)
REDUCTION(dot_shifted, TWO SHIFT, (Int)((v[a[at]][l] * v[b[at]][l]) << s[at]), sum[l] + term)
REDUCTION(greatest, ONE, v[a[at]][l], (sum[l] > term ? sum[l] : term))
REDUCTION(greatest_shifted, ONE SHIFT, (Int)(v[a[at]][l] << s[at]), (sum[l] > term ? sum[l] : term))
"""

EPILOGUE = """
extern "C" void emulate(const std::int32_t* inputs, const std::uint8_t* mask, std::int64_t* logits, std::int64_t jets) {
    auto work = std::make_unique<Work>();
    Int (*v)[L] = work->v;
    prepare(v);
    for (std::int64_t start = 0; start < jets; start += L) {
        const int here = jets - start < L ? int(jets - start) : L;
        for (int l = 0; l < here; ++l) {
            for (int n = 0; n < INPUTS; ++n) v[inputs_at[n]][l] = inputs[(start + l) * INPUTS + n];
            for (int n = 0; n < MASKS; ++n) v[mask_at[n]][l] = mask[(start + l) * MASKS + n];
        }
        network(v);
        for (int l = 0; l < here; ++l)
            for (int n = 0; n < LOGITS; ++n) logits[(start + l) * LOGITS + n] = v[logits_at[n]][l];
    }
}
"""
