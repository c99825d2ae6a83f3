"""Nodes to kernels: which arrays are kept, and the loops that fill each of them.

A kernel fills one array: a matrix product, say, with the sum, ReLU and quantiser that follow it element by element, since
what is read once and in place needs no array. Axes that are only turned, split or cut need none either: the kernels read
them where they lie. Every number has a name and a type that its interval fits.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from ..errors import FpgaError
from ..fixed_point import Codes
from ..interval import Interval
from ..network import Network
from ..nodes import Node
from .grids import rise
from .indexing import coordinate, varying

WIDTHS = (8, 16, 32, 64)
SMALL = 1 << 31  # a literal has 32 bits
UNROLL = 1024  # steps at most that one pipelined loop does at once
ELEMENTWISE = ("add", "multiply", "negate", "gate", "unsigned", "relu", "quantise", "table")
APART = ("input", "constant", "rearrange", "concatenate")


@dataclass(frozen=True)
class Read:
    """One access to an array: the expression of each coordinate."""

    array: Node
    coordinates: tuple[str, ...]


@dataclass
class Kernel:
    """The loops that fill one array, `node`; `reads` are its sources."""

    node: Node
    name: str
    lines: list[str] = field(default_factory=list)
    constants: dict[str, Codes] = field(default_factory=dict)
    reads: list[Read] = field(default_factory=list)
    writes: list[tuple[str, ...]] = field(default_factory=list)
    pipelined: list[str] = field(default_factory=list)
    unrolled: set[str] = field(default_factory=set)

    @property
    def sources(self) -> list[Node]:
        return list({id(read.array): read.array for read in self.reads}.values())


def width(*codes: Codes | int) -> int:
    """Bits of the narrowest integer type that holds all of these."""
    low = min(int(np.min(n, initial=0)) for n in codes)
    high = max(int(np.max(n, initial=0)) for n in codes)
    for bits in WIDTHS[:-1]:
        if -(1 << (bits - 1)) <= low and high < 1 << (bits - 1):
            return bits
    if max(-low, high) >= 1 << 62:
        raise FpgaError("The formats of this state need sums of more than 62 bits; narrow them.")
    return 64


def kernels(network: Network) -> list[Kernel]:
    """The kernels of a network, sources first; the last fills the logits."""
    return _Planner(network).planned()


class _Planner:
    def __init__(self, network: Network) -> None:
        self.network, self.nodes = network, network.nodes()
        self.users: dict[int, list[Node]] = {}
        for node in self.nodes:
            for source in node.sources:
                self.users.setdefault(id(source), []).append(node)
        self.names: dict[int, str] = {}
        self.taken: Counter[str] = Counter()

    def planned(self) -> list[Kernel]:
        needed = self.needed()
        return [self.kernel(node) for node in self.nodes if id(node) in needed and self.kept(node)]

    def needed(self) -> set[int]:
        """What the logits depend on: a perceptron reads no mask."""
        return {id(node) for node in Network(*(self.network.logits,) * 3).nodes()}

    def kept(self, node: Node) -> bool:
        """Whether a node's numbers lie in an array; others are made where they are read."""
        if node.op in ("constant", "rearrange"):
            return False
        users = self.users.get(id(node), [])
        if node is self.network.logits or node.op in APART or len(users) != 1:
            return True
        if users[0].op == "total":
            return node.op != "multiply"
        return users[0].op not in ELEMENTWISE or users[0].shape != node.shape

    def kernel(self, node: Node) -> Kernel:
        made = Kernel(node, self.name(node))
        self.names[id(node)] = made.name
        writer = _Writer(self, made)
        if node.op == "concatenate":
            writer.joined(node)
        else:
            writer.filled(node)
        return made

    def name(self, node: Node) -> str:
        """An identifier from the operation's name, once for each array."""
        plain = re.sub(r"\W+", "_", node.layer).strip("_") or "array"
        self.taken[plain] += 1
        return plain if self.taken[plain] == 1 else f"{plain}_{self.taken[plain]}"


@dataclass(frozen=True)
class Loops:
    """The loops around a statement: one name an axis ("0" where its length is 1), and the shape they span."""

    variables: tuple[str, ...]
    shape: tuple[int, ...]


class _Writer:
    """Writes one kernel, line by line; `depth` is the indentation inside the function."""

    def __init__(self, plan: _Planner, kernel: Kernel) -> None:
        self.plan, self.kernel = plan, kernel
        self.depth = 0
        self.locals: Counter[str] = Counter()

    # Lines

    def line(self, text: str) -> None:
        self.kernel.lines.append("    " * self.depth + text)

    def fresh(self, word: str) -> str:
        self.locals[word] += 1
        return word if self.locals[word] == 1 else f"{word}_{self.locals[word]}"

    def declared(self, word: str, bits: int, value: str) -> str:
        name = self.fresh(word)
        self.line(f"{name}: int{bits} = {value}")
        return name

    def loop(self, word: str, length: int) -> str:
        """Opens a loop; a length of 1 needs none."""
        if length == 1:
            return "0"
        name = self.fresh(word)
        self.line(f"for {name} in range({length}):")
        self.depth += 1
        return name

    # Arrays

    def filled(self, node: Node) -> None:
        loops = self.opened(node, _work(node))
        self.store(self.value(node, loops), loops.variables)

    def joined(self, node: Node) -> None:
        """One after the other along the first axis, each in loops of its own."""
        start = 0
        for source in node.sources:
            self.depth = 0
            loops = self.opened(source, 1)
            shift = rise(source.interval, node.interval.fraction[start : start + source.shape[0]])
            value = self.shifted(self.value(source, loops), source, shift, loops)
            first = loops.variables[0]
            row = str(start) if first == "0" else f"{first} + {start}" if start else first
            self.store(value, (row, *loops.variables[1:]))
            start += source.shape[0]

    def opened(self, node: Node, work: int) -> Loops:
        """Loops over a node's shape. The last but one is pipelined, so all inside it unrolled, unless that is too much."""
        words = ("g", "h", "i", "j")[-len(node.shape) :] if node.shape else ()
        variables = tuple(self.loop(word, size) for word, size in zip(words, node.shape, strict=True))
        real = [(name, size) for name, size in zip(variables, node.shape, strict=True) if name != "0"]
        if real:
            at = max(len(real) - 2, 0)
            if len(real) > 1 and real[-1][1] * work > UNROLL:
                at += 1
            self.kernel.pipelined.append(real[at][0])
            self.kernel.unrolled |= {name for name, _ in real[at + 1 :]}
        return Loops(variables, node.shape)

    def inner(self, loops: Loops, length: int) -> Loops:
        """The loop of a sum, inside a pipelined one and so unrolled; `close` ends it."""
        k = self.loop("k", length)
        if k != "0" and self.kernel.pipelined:
            self.kernel.unrolled.add(k)
        elif k != "0":
            self.kernel.pipelined.append(k)
        return Loops((*loops.variables, k), (*loops.shape, length))

    def close(self, loops: Loops) -> None:
        self.depth -= loops.variables[-1] != "0"

    def store(self, value: str, coordinates: tuple[str, ...]) -> None:
        self.kernel.writes.append(coordinates)
        self.line(f"OUT[{', '.join(coordinates) or '0'}] = {value}")

    # Values

    def value(self, node: Node, loops: Loops) -> str:
        """The name, literal or element that holds a node's number inside these loops."""
        if node.op == "constant":
            return self.number(np.broadcast_to(node.interval.low, loops.shape), loops, "value")
        if node is not self.kernel.node and (node.op == "rearrange" or self.plan.kept(node)):
            return self.element(node, loops)
        if node.shape != loops.shape:
            raise AssertionError(f"{node.layer}: {node.op} is made out of place")
        return EMITTERS[node.op](self, node, loops)

    def element(self, node: Node, loops: Loops) -> str:
        """Read where it lies, through all rearrangements."""
        index = np.arange(node.interval.low.size).reshape(node.shape)
        while node.op == "rearrange":
            index = node.attributes["index"].ravel()[index]
            node = node.sources[0]
        places = np.unravel_index(np.broadcast_to(index, loops.shape), node.shape or (1,))
        found = tuple(self.place(axis, loops) for axis in places)
        self.kernel.reads.append(Read(node, found))
        return f"from_{self.plan.names[id(node)]}[{', '.join(found)}]"

    def place(self, values: Codes, loops: Loops) -> str:
        written = coordinate(values, loops.variables)
        if written is not None:
            return written
        return self.declared("at", 32, self.number(values, loops, "place"))

    def number(self, values: Codes, loops: Loops, word: str) -> str:
        """A literal where all are the same, else an element of an array of constants that has only the axes it needs."""
        axes = varying(values)
        if not axes and abs(int(values.flat[0])) < SMALL:
            return str(int(values.flat[0]))
        kept = values[tuple(slice(None) if axis in axes else 0 for axis in range(values.ndim))]
        places = ", ".join(loops.variables[axis] for axis in axes)
        return f"{self.stored(word, np.atleast_1d(kept))}[{places or '0'}]"

    def stored(self, word: str, values: Codes) -> str:
        for name, known in self.kernel.constants.items():
            if np.array_equal(known, values):
                return name
        name = f"{self.kernel.name}_{self.fresh(word)}"
        self.kernel.constants[name] = values
        return name

    def shifted(self, value: str, node: Node, shift: Codes, loops: Loops) -> str:
        """To a finer grid. A shift keeps its operand's type, so that this must be wide before."""
        if not shift.any():
            return value
        low, high = node.interval.low, node.interval.high
        _check(_reach(node.interval), shift)
        wide = self.declared("wide", width(low << shift, high << shift), value)
        return f"({wide} << {self.number(np.broadcast_to(shift, loops.shape), loops, 'shift')})"


def _reach(i: Interval) -> Codes:
    return np.maximum(np.abs(i.low), np.abs(i.high))


def _check(largest: Codes, shift: Codes) -> None:
    if (largest.astype(np.float64) * np.exp2(shift.astype(np.float64)) >= 2.0**62).any():
        raise FpgaError("The formats of this state need sums of more than 62 bits; narrow them.")


def _work(node: Node) -> int:
    """Steps behind one element: those of the innermost loop."""
    own = node.sources[0].shape[-1] if node.op in ("linear", "total", "maximum") else 1
    return max(
        [
            own,
            *(_work(source) for source in node.sources if node.op in ELEMENTWISE and source.op not in APART),
        ]
    )


def _bits(node: Node) -> int:
    return width(node.interval.low, node.interval.high)


def _linear(w: _Writer, node: Node, loops: Loops) -> str:
    """sum over k of weight[j, k] * x[.., k]: weights on the grids that the steps of x and of the result ask for."""
    x, weight, bias = node.sources[0], node.attributes["weight"], node.attributes["bias"]
    inner, steps = x.interval.fraction[..., None, :], node.interval.fraction[..., None]
    reach = _reach(x.interval)[..., None, :]
    grid = np.broadcast_to(weight.format.f, weight.codes.shape)
    # an element that is always 0 takes the weight that other tokens need
    live = (reach > 0).any(axis=tuple(range(len(x.shape) - 1)), keepdims=True)
    codes: Codes = np.where(live, weight.codes, 0)
    codes = codes << np.where(codes != 0, steps - grid - inner, 0)
    start: Codes = np.zeros(node.shape, dtype=np.int64)
    if bias is not None:
        own = np.broadcast_to(bias.format.f, bias.codes.shape)
        start = bias.codes << np.where(bias.codes != 0, node.interval.fraction - own, 0)
    bound = np.abs(start) + (np.abs(codes) * reach).sum(axis=-1)
    total = w.declared("total", width(bound, -bound), w.number(start, loops, "bias"))
    inside = w.inner(loops, x.shape[-1])
    spread = x.rearranged(np.broadcast_to(_positions(x)[..., None, :], inside.shape))
    w.line(f"{total} += {w.number(codes, inside, 'weight')} * {w.value(spread, inside)}")
    w.close(inside)
    return total


def _positions(x: Node) -> Codes:
    return np.arange(x.interval.low.size).reshape(x.shape)


def _total(w: _Writer, node: Node, loops: Loops) -> str:
    x = node.sources[0]
    shift = rise(x.interval, node.interval.fraction[..., None])
    _check(_reach(x.interval), shift)
    bound = (_reach(x.interval) << shift).sum(axis=-1)
    total = w.declared("total", width(bound, -bound), "0")
    inside = w.inner(loops, x.shape[-1])
    term = _product(w, x, inside) if not w.plan.kept(x) and x.op == "multiply" else w.value(x, inside)
    w.line(f"{total} += {w.shifted(term, x, shift, inside)}")
    w.close(inside)
    return total


def _maximum(w: _Writer, node: Node, loops: Loops) -> str:
    x = node.sources[0]
    shift = rise(x.interval, node.interval.fraction[..., None])
    greatest = w.declared("greatest", _bits(node), str(int(node.interval.low.min())))
    inside = w.inner(loops, x.shape[-1])
    one = w.declared("x", _bits(node), w.shifted(w.value(x, inside), x, shift, inside))
    w.line(f"{greatest} = {one} if {one} > {greatest} else {greatest}")
    w.close(inside)
    return greatest


def _add(w: _Writer, node: Node, loops: Loops) -> str:
    terms = []
    for source in node.sources:
        part = _as(source, node)
        terms.append(
            w.shifted(w.value(part, loops), part, rise(part.interval, node.interval.fraction), loops)
        )
    return w.declared("added", _bits(node), " + ".join(terms))


def _as(source: Node, node: Node) -> Node:
    """A source spread to the shape of its user."""
    if source.shape == node.shape:
        return source
    return source.rearranged(np.broadcast_to(_positions(source), node.shape))


def _multiply(w: _Writer, node: Node, loops: Loops) -> str:
    return w.declared("product", _bits(node), _product(w, node, loops))


def _product(w: _Writer, node: Node, loops: Loops) -> str:
    a, b = (w.value(_as(source, node), loops) for source in node.sources)
    return f"{a} * {b}"


def _negate(w: _Writer, node: Node, loops: Loops) -> str:
    return w.declared("minus", _bits(node), f"0 - {w.value(node.sources[0], loops)}")


def _gate(w: _Writer, node: Node, loops: Loops) -> str:
    x, mask = (w.value(_as(source, node), loops) for source in node.sources)
    other = w.number(node.attributes["otherwise"], loops, "otherwise")
    return w.declared("gated", _bits(node), f"{x} if {mask} > 0 else {other}")


def _relu(w: _Writer, node: Node, loops: Loops) -> str:
    x = w.value(node.sources[0], loops)
    return w.declared("live", _bits(node), f"{x} if {x} > 0 else 0")


def _quantise(w: _Writer, node: Node, loops: Loops) -> str:
    """Round half up by adding half a step before the shift, then saturate only where the interval says that it can."""
    x, fmt = node.sources[0], node.attributes["format"]
    i, alive = x.interval, fmt.width > 0
    drop = np.where(alive, i.fraction - fmt.f, 0)
    down, up = np.maximum(drop, 0), np.maximum(-drop, 0)
    _check(_reach(i), up)
    down = np.minimum(down, 62)
    half = np.where(down > 0, np.int64(1) << np.maximum(down - 1, 0), 0)
    low, high = (i.low << up) + half, (i.high << up) + half
    bits = width(low, high, half)
    value = w.shifted(w.value(x, loops), x, up, loops)
    if down.any():
        value = w.declared("half_up", bits, f"{value} + {w.number(half, loops, 'half')}")
        value = f"{value} >> {w.number(down, loops, 'down')}"
    rounded = w.declared("rounded", bits, value)
    reached = low >> down, high >> down
    if (reached[0] < fmt.low).any():
        least = w.number(fmt.low, loops, "least")
        rounded = w.declared("above", bits, f"{least} if {rounded} < {least} else {rounded}")
    if (reached[1] > fmt.high).any():
        most = w.number(fmt.high, loops, "most")
        rounded = w.declared("quantised", bits, f"{most} if {rounded} > {most} else {rounded}")
    exact = Interval(
        node.interval.low, node.interval.high, fmt.f
    )  # the same codes before they move to the channel's grid
    finer = rise(exact, node.interval.fraction)
    if not finer.any():
        return rounded
    wide = w.declared("wide", _bits(node), rounded)
    return f"({wide} << {w.number(finer, loops, 'finer')})"


def _table(w: _Writer, node: Node, loops: Loops) -> str:
    """One table where all elements agree on the codes they share; an address counts from the lowest code that can occur."""
    entries, offset = _joined_tables(node)
    value = w.value(node.sources[0], loops)
    if offset.any():
        value = f"{value} + {w.number(offset, loops, 'offset')}"
    at = w.declared("at", 32, value)
    return w.declared("entry", _bits(node), f"{w.stored('entries', entries)}[{at}]")


def _joined_tables(node: Node) -> tuple[Codes, Codes]:
    """All entries in one row, and what is to be added to a code to find its entry."""
    lows = node.sources[0].interval.low
    tables = list(zip(node.attributes["entries"], lows.ravel().tolist(), strict=True))
    common: dict[int, int] = {}
    agree = all(
        common.setdefault(low + n, e) == e for table, low in tables for n, e in enumerate(table.tolist())
    )
    if agree and len(common) == max(common) - min(common) + 1:
        row = [common[code] for code in sorted(common)]
        return np.array(row, dtype=np.int64), np.full(node.shape, -min(common), dtype=np.int64)
    starts: dict[bytes, int] = {}
    stored: list[int] = []
    offsets = []
    for table, low in tables:
        key = table.tobytes()
        if key not in starts:
            starts[key] = len(stored)
            stored += table.tolist()
        offsets.append(starts[key] - low)
    return np.array(stored, dtype=np.int64), np.array(offsets, dtype=np.int64).reshape(node.shape)


def _input(w: _Writer, node: Node, loops: Loops) -> str:
    """From the argument of that name, to the grid of its channel."""
    given = node.attributes["given"]
    element = f"{node.layer}[{', '.join(loops.variables)}]"
    return w.shifted(element, Node("input", given), rise(given, node.interval.fraction), loops)


EMITTERS: dict[str, Callable[[_Writer, Node, Loops], str]] = {
    "input": _input,
    "linear": _linear,
    "total": _total,
    "maximum": _maximum,
    "add": _add,
    "multiply": _multiply,
    "negate": _negate,
    "gate": _gate,
    "unsigned": lambda w, node, loops: w.value(node.sources[0], loops),
    "relu": _relu,
    "quantise": _quantise,
    "table": _table,
}
