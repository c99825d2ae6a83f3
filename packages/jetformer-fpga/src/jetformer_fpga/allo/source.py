"""The kernels as one module of the Allo language: constants, a function a layer, the top that calls them, a schedule."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from ..fixed_point import Codes
from ..network import Network, build
from ..nodes import Node
from ..state import State
from .grids import uniform
from .kernels import Kernel, kernels, width

LINE = 100


@dataclass(frozen=True)
class Argument:
    """One argument of the top: codes of `features [P, F]`, `mask [P]` (1 = real) or `logits [C]`, integers of `bits`."""

    name: str
    shape: tuple[int, ...]
    bits: int


@dataclass(frozen=True)
class Program:
    """The text of the module, the arguments of its `top` in order, and what the schedule asks for."""

    text: str
    arguments: tuple[Argument, ...]
    pipelined: tuple[tuple[str, str], ...]
    partitioned: tuple[tuple[str, int], ...]


def program(state: State) -> Program:
    """The program of a state, from the same integer network that becomes a circuit."""
    return _Text(build(state)).program()


@dataclass(frozen=True)
class Wire:
    """An array between two kernels, one that fills it and one that reads it, as dataflow wants it."""

    name: str
    source: Kernel
    reader: Kernel | None

    @property
    def type(self) -> str:
        return type_of(self.source.node)


def type_of(node: Node) -> str:
    return _type(width(node.interval.low, node.interval.high), node.shape)


def _type(bits: int, shape: tuple[int, ...]) -> str:
    return f"int{bits}[{', '.join(map(str, shape or (1,)))}]"


class _Text:
    def __init__(self, network: Network) -> None:
        even = uniform(network)
        self.kernels = kernels(even)
        self.arguments = [self.argument(end) for end in (even.features, even.mask) if self.kernel_of(end)]
        self.logits = Argument(
            "logits", even.logits.shape, width(even.logits.interval.low, even.logits.interval.high)
        )
        self.wires: dict[str, list[Wire]] = {k.name: self.wires_from(k) for k in self.kernels}

    def argument(self, end: Node) -> Argument:
        given = end.attributes["given"]
        return Argument(end.layer, end.shape, width(given.low, given.high))

    def kernel_of(self, node: Node) -> Kernel | None:
        return next((kernel for kernel in self.kernels if kernel.node is node), None)

    def wires_from(self, kernel: Kernel) -> list[Wire]:
        readers = [other for other in self.kernels if any(node is kernel.node for node in other.sources)]
        wires = [Wire(f"{kernel.name}_to_{reader.name}", kernel, reader) for reader in readers]
        if kernel is self.kernels[-1]:
            wires.append(Wire("logits", kernel, None))
        return wires

    def wires_to(self, kernel: Kernel) -> list[Wire]:
        found = []
        for node in kernel.sources:
            source = self.kernel_of(node)
            assert source is not None
            found += [wire for wire in self.wires[source.name] if wire.reader is kernel]
        return found

    def program(self) -> Program:
        arguments = (*self.arguments, self.logits)
        pipelined = tuple((f"make_{k.name}", loop) for k in self.kernels for loop in k.pipelined)
        partitioned = tuple(self.partitions())
        functions = [self.function(kernel) for kernel in self.kernels]
        parts = [HEAD, *functions, self.top(), self.schedule(pipelined, partitioned)]
        return Program("\n\n".join(parts), arguments, pipelined, partitioned)

    def function(self, kernel: Kernel) -> str:
        """Constants before the function, as global arrays under names of their own; inside, each under a local name."""
        constants = [_constant(f"{name}_codes", values) for name, values in kernel.constants.items()]
        own = [a for a in self.arguments if kernel.node.op == "input" and a.name == kernel.node.layer]
        own = [a for a in self.arguments if kernel.node.op == "input" and a.name == kernel.node.layer]
        parameters = [f"{a.name}: {_type(a.bits, a.shape)}" for a in own]
        parameters += [f"from_{wire.source.name}: {wire.type}" for wire in self.wires_to(kernel)]
        parameters += [f"{wire.name}: {wire.type}" for wire in self.wires[kernel.name]]
        local = [
            f"{name}: {_type(width(values), values.shape)} = {name}_codes"
            for name, values in kernel.constants.items()
        ]
        lines = [*local, *self.stores(kernel)]
        head = _call(f"def make_{kernel.name}", parameters) + ":"
        note = f"# {kernel.node.layer}: {' x '.join(map(str, kernel.node.shape)) or 'one number'}"
        return "\n".join([note, *constants, head, *(f"    {line}" for line in lines)])

    def stores(self, kernel: Kernel) -> list[str]:
        """The kernel's lines, with one store for each reader."""
        lines: list[str] = []
        made = 0
        for line in kernel.lines:
            found = re.match(r"( *)OUT(\[.*?\]) = (.*)", line)
            if found is None:
                lines.append(line)
                continue
            value = found[3]
            wires = self.wires[kernel.name]
            if len(wires) > 1 and not value.isidentifier():
                bits = width(kernel.node.interval.low, kernel.node.interval.high)
                made += 1
                name = f"made_{made}"
                lines.append(f"{found[1]}{name}: int{bits} = {value}")
                value = name
            lines += [f"{found[1]}{wire.name}{found[2]} = {value}" for wire in wires]
        return lines

    def top(self) -> str:
        """Arrays and calls; nothing else, so that every call can be a process of the dataflow."""
        parameters = [f"{a.name}: {_type(a.bits, a.shape)}" for a in (*self.arguments, self.logits)]
        lines = []
        for kernel in self.kernels:
            wires = self.wires[kernel.name]
            lines += [f"{wire.name}: {wire.type}" for wire in wires if wire.reader is not None]
            given = [kernel.node.layer] if kernel.node.op == "input" else []
            given += [wire.name for wire in self.wires_to(kernel)] + [wire.name for wire in wires]
            lines += _call(f"make_{kernel.name}", given).splitlines()
        return "\n".join([_call("def top", parameters) + ":", *(f"    {line}" for line in lines)])

    def partitions(self) -> list[tuple[str, int]]:
        """Dimensions along which an unrolled loop reads or writes: each place needs a register of its own there."""
        found = []
        for kernel in self.kernels:
            for wire in self.wires[kernel.name]:
                if wire.reader is None:
                    continue
                accesses = [(c, kernel.unrolled) for c in kernel.writes]
                accesses += [
                    (r.coordinates, wire.reader.unrolled) for r in wire.reader.reads if r.array is kernel.node
                ]
                for axis, size in enumerate(kernel.node.shape):
                    if size > 1 and any(_names(c[axis]) & (loops | {"at"}) for c, loops in accesses):
                        found.append((wire.name, axis + 1))
        return found

    def schedule(
        self, pipelined: tuple[tuple[str, str], ...], partitioned: tuple[tuple[str, int], ...]
    ) -> str:
        loops = [f'    ({kernel}, "{loop}"),' for kernel, loop in pipelined]
        arrays = [f'    ("{array}", {axis}),' for array, axis in partitioned]
        return "\n".join(["PIPELINED = (", *loops, ")", "PARTITIONED = (", *arrays, ")", SCHEDULE])


def _names(text: str) -> set[str]:
    return set(re.findall(r"[a-z_]\w*", text))


def _call(name: str, parameters: list[str]) -> str:
    line = f"{name}({', '.join(parameters)})"
    if len(line) <= LINE:
        return line
    return "\n".join([f"{name}(", *(f"    {parameter}," for parameter in parameters), ")"])


def _constant(name: str, values: Codes) -> str:
    """Rows as long as a line allows."""
    numbers = np.array2string(values, separator=", ", threshold=1 << 62, max_line_width=LINE, prefix="    ")
    head, tail = f"{name} = np.array(", f", dtype=np.int{width(values)})"
    line = f"{head}{numbers}{tail}"
    if "\n" not in line and len(line) <= LINE:
        return line
    return f"{head}\n    {numbers}{tail}"


HEAD = '''"""A network in fixed point, written by jetformer-fpga in the Allo language.

All numbers are integer codes. A kernel fills the array that it is named after, one copy for each reader.
"""

import allo
import numpy as np
from allo.ir.types import int8, int16, int32, int64
'''

SCHEDULE = '''

def schedule():
    """Pipelined loops (what is inside them is unrolled), arrays split into registers where unrolled loops meet them, and
    all kernels at once, as soon as their inputs are there."""
    program = allo.customize(top)
    for kernel, loop in PIPELINED:
        layer = allo.customize(kernel)
        layer.pipeline(loop)
        program.compose([layer])
    for array, axis in PARTITIONED:
        program.partition(f"top:{array}", dim=axis)
    program.dataflow("top")
    return program
'''
