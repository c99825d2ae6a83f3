"""Loops over formulas, printed as C++: what `kernel` makes of the nodes of a network.

A slot holds one number of each of several jets that are worked on side by side. A formula says how an element of a node
is computed from slots; a loop computes all elements and puts them into slots. Slots are written once; when their
last reader is done, the memory is used again, so that all of a small network stays in the nearest cache.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.int64]


@dataclass(frozen=True)
class Slots:
    """`v[at]`: an element each."""

    at: Array


@dataclass(frozen=True)
class Numbers:
    """Known numbers: an element each."""

    values: Array


@dataclass(frozen=True)
class Table:
    """The name of a constant array: the same for all elements."""

    entries: Array


@dataclass(frozen=True)
class Formula:
    """C++ with a pair of braces for each argument."""

    text: str
    of: tuple[Expression, ...]


@dataclass(frozen=True)
class Reduction:
    """`sum` over `count` terms an element: `sum = step`."""

    terms: Expression
    count: int
    step: str


@dataclass(frozen=True)
class Matrix:
    """For some of the input rows: the products with the rows of `weight` `[out, in]`, and `bias` `[out]`."""

    rows: Array
    weight: Array
    bias: Array


@dataclass(frozen=True)
class Linear:
    """`sum` over the products of an input row `[rows, in]` with the rows of its matrix."""

    inputs: Expression
    matrices: tuple[Matrix, ...]


@dataclass(frozen=True)
class Sum:
    """`sum`, all elements in their order."""

    over: Reduction | Linear


Expression = Slots | Numbers | Table | Formula | Sum


@dataclass(frozen=True)
class Loop:
    """Every element of `value` into its slot; `layer` is the operation of the state that it belongs to."""

    layer: str
    at: Array
    value: Expression


def constant(values: Array) -> Formula:
    return Formula("all({})", (Numbers(values),))


def is_stored(expression: Expression) -> bool:
    """Whether nothing is computed again where it is read again."""
    return isinstance(expression, Slots) or (isinstance(expression, Formula) and expression.text == "all({})")


def sum_in(expression: Expression) -> Reduction | Linear | None:
    if isinstance(expression, Formula):
        return next((found for part in expression.of if (found := sum_in(part))), None)
    return expression.over if isinstance(expression, Sum) else None


def taken(expression: Expression, index: Array) -> Expression:
    """The elements at flat positions; tables and sums stay as they are."""
    if isinstance(expression, Slots):
        return Slots(expression.at[index])
    if isinstance(expression, Numbers):
        return Numbers(expression.values[index])
    if isinstance(expression, Formula):
        return Formula(expression.text, tuple(taken(part, index) for part in expression.of))
    return expression


def joined(expressions: Sequence[Expression]) -> Expression | None:
    """One after the other, where all are computed the same way and without a sum."""
    slots = [part.at for part in expressions if isinstance(part, Slots)]
    numbers = [part.values for part in expressions if isinstance(part, Numbers)]
    formulas = [part for part in expressions if isinstance(part, Formula)]
    count = len(expressions)
    if len(slots) == count:
        return Slots(np.concatenate(slots))
    if len(numbers) == count:
        return Numbers(np.concatenate(numbers))
    if len(formulas) == count and len({part.text for part in formulas}) == 1:
        arguments = [joined(parts) for parts in zip(*(part.of for part in formulas), strict=True)]
        known = tuple(part for part in arguments if part is not None)
        return Formula(formulas[0].text, known) if len(known) == len(arguments) else None
    return None


def slots_in(expression: Expression) -> Iterator[Array]:
    """What it reads."""
    if isinstance(expression, Slots):
        yield expression.at
    elif isinstance(expression, Formula):
        for part in expression.of:
            yield from slots_in(part)
    elif isinstance(expression, Sum):
        over = expression.over
        yield from slots_in(over.terms if isinstance(over, Reduction) else over.inputs)


def places(blocks: Sequence[range], loops: Sequence[Loop], last: Array) -> tuple[Array, int]:
    """Where each slot lies in memory, and how much memory there must be.

    `blocks` are slots that stay side by side: the inputs, which lie first and stay, then one block a loop. `last` are
    read after all loops.
    """
    inputs = len(blocks) - len(loops)
    block_of = np.repeat(np.arange(len(blocks)), [len(block) for block in blocks])
    until = np.arange(len(blocks))  # the block whose loop is the last to need a block
    for number, loop in enumerate(loops, start=inputs):
        for at in slots_in(loop.value):
            until[block_of[at]] = number
    until[:inputs] = until[block_of[last]] = len(blocks)
    start = np.zeros(len(blocks), dtype=np.int64)
    live: list[int] = []
    size = 0
    for number, block in enumerate(blocks):
        free = 0
        for other in live:  # in the order of their places
            if start[other] - free >= len(block):
                break
            free = int(start[other]) + len(blocks[other])
        start[number] = free
        size = max(size, free + len(block))
        live = [other for other in [*live, number] if until[other] > number]
        live.sort(key=lambda other: int(start[other]))
    first = np.array([block.start for block in blocks], dtype=np.int64)
    return (start - first)[block_of] + np.arange(len(block_of)), size


class Printer:
    """Loops as C++, and the constant arrays that they use."""

    def __init__(self, place: Array) -> None:
        self.place = place
        self.arrays: dict[str, str] = {}

    def array(self, values: Array, kind: str = "Int") -> str:
        """The name of a constant array; arrays that are the same are stored once."""
        text = ", ".join(f"{value}" for value in values.ravel().tolist())
        return self.arrays.setdefault(f"{kind} NAME[{values.size}] = {{{text}}}", f"t{len(self.arrays)}")

    def definitions(self) -> list[str]:
        return [f"static const {text.replace('NAME', name)};" for text, name in self.arrays.items()]

    def loop(self, loop: Loop) -> list[str]:
        over = sum_in(loop.value)
        lines = [f"    // {loop.layer}"]
        if isinstance(over, Linear):
            for matrix in over.matrices:
                lines += self.linear(loop, over, matrix)
            return lines
        lines.append(f"    for (int n = 0; n < {loop.at.size}; ++n) {{")
        if over is not None:
            term = self.text(over.terms, "m")
            lines += [
                f"        int m = n * {over.count};",
                f"        Lanes sum = {term};",
                f"        for (++m; m < (n + 1) * {over.count}; ++m) sum = {over.step.format(term)};",
            ]
        return [*lines, f"        {self.slot(loop.at, 'n')} = {self.text(loop.value, 'n')};", "    }"]

    def linear(self, loop: Loop, over: Linear, matrix: Matrix) -> list[str]:
        outs, ins = matrix.weight.shape
        chosen = (matrix.rows[:, None] * outs + np.arange(outs)).ravel()
        inputs = (matrix.rows[:, None] * ins + np.arange(ins)).ravel()
        weight, bias = self.array(matrix.weight), self.array(matrix.bias)
        x = self.text(taken(over.inputs, inputs), "m")
        return [
            f"    for (int r = 0; r < {len(matrix.rows)}; ++r) {{",
            f"        Lanes x[{ins}];",
            f"        for (int i = 0, m = r * {ins}; i < {ins}; ++i, ++m) x[i] = {x};",
            f"        for (int o = 0, n = r * {outs}; o < {outs}; ++o, ++n) {{",
            f"            const Lanes sum = dot<{ins}>(x, {weight} + o * {ins}) + {bias}[o];",
            f"            {self.slot(loop.at[chosen], 'n')} = {self.text(taken(loop.value, chosen), 'n')};",
            "        }",
            "    }",
        ]

    def text(self, expression: Expression, n: str) -> str:
        """C++ of element `n`."""
        if isinstance(expression, Slots):
            return self.slot(expression.at, n)
        if isinstance(expression, Numbers):
            values = expression.values
            same = (values == values[0]).all()
            return str(values[0]) if same else f"{self.array(values)}[{n}]"
        if isinstance(expression, Formula):
            return expression.text.format(*(self.text(part, n) for part in expression.of))
        return self.array(expression.entries) if isinstance(expression, Table) else "sum"

    def slot(self, at: Array, n: str) -> str:
        place = self.place[at]
        if (np.diff(place) == 1).all():
            return f"v[{place[0]} + {n}]"
        return f"v[{self.array(place, 'int')}[{n}]]"
