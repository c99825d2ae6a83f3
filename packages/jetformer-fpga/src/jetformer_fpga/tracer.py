"""The adapter to the tracer (alkaid): the only file that knows it.

`trace` turns the typed graph into the tracer's program of adders, multipliers, multiplexers and tables; constant matrices
go through its distributed-arithmetic solver. `pipeline` assigns the operations to clock cycles, `verilog` prints them.
"""

from __future__ import annotations

import importlib.metadata
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from alkaid.codegen.hls import hls_logic_and_bridge_gen
from alkaid.codegen.hls.hls_codegen import get_io_types
from alkaid.codegen.rtl.verilog.comb import comb_logic_gen, ssa_gen
from alkaid.codegen.rtl.verilog.lookup import lookup_source
from alkaid.trace import FVariable, FVArray, HWConfig
from alkaid.trace import trace as alkaid_trace
from alkaid.types import CombLogic, Op
from numpy.typing import NDArray

from .fixed_point import Codes, Format
from .network import Network
from .nodes import Node

# Adders count one full adder a bit and one carry step a bit; no cutoff: cycles are assigned by `pipeline`.
HARDWARE = HWConfig(1, 1, -1)
# Adder levels beyond the least in constant matrix products: 1 costs 3 % more than -1 (no limit) and has 8 % less delay.
DEPTH = 1
Wires = NDArray[Any]  # of FVariable


def trace(network: Network, depth: int = DEPTH) -> CombLogic:
    """The combinational program: inputs features then mask, row by row; outputs the logits."""
    wires: dict[int, Wires] = {}
    for node in network.nodes():
        _lower(node, wires, depth)
    inputs = [*wires[id(network.features)].ravel(), *wires[id(network.mask)].ravel()]
    return alkaid_trace(inputs, list(wires[id(network.logits)].ravel()), keep_dead_inputs=True)


def _lower(node: Node, wires: dict[int, Wires], depth: int) -> None:
    sources = [wires[id(source)] for source in node.sources]
    options = {"depth": depth} if node.op == "linear" else {}
    wires[id(node)] = LOWERINGS[node.op](node, *sources, **options)


@dataclass(frozen=True)
class Cost:
    """What the tracer takes a layer for, traced alone: LUT, multipliers among them, and delay units from end to end."""

    lut: float
    multipliers: int
    delay: float


def cost_of(nodes: list[Node], depth: int = DEPTH) -> Cost:
    """Of the nodes of one layer, in order; what comes from outside is taken as an input."""
    wires: dict[int, Wires] = {}
    inside = {id(node) for node in nodes}
    inputs: list[FVariable] = []
    for source in (source for node in nodes for source in node.sources):
        if id(source) not in inside | wires.keys():
            wires[id(source)] = _each(_any_code, _input(source))
            inputs += [wire for wire in wires[id(source)].ravel() if not _fixed(wire)]
    for node in nodes:
        _lower(node, wires, depth)
    used = {id(source) for node in nodes for source in node.sources}
    outputs = [wire for node in nodes if id(node) not in used for wire in wires[id(node)].ravel()]
    if not inputs or not outputs:
        return Cost(0.0, 0, 0.0)
    program = alkaid_trace(inputs, outputs, keep_dead_inputs=True)
    multipliers = sum(op.opcode == MULTIPLY for op in program.ops)
    return Cost(float(program.cost), multipliers, max((op.latency for op in program.ops), default=0.0))


def _any_code(wire: FVariable) -> FVariable:
    """An input with every code of its width: the tracer's optimiser takes inputs for no less."""
    return wire if _fixed(wire) else FVariable.from_kif(*wire.kif, hwconf=HARDWARE)


def _array(values: list[Any], shape: tuple[int, ...]) -> Wires:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array.reshape(shape)


def _each(function: Callable[..., Any], *arrays: Any) -> Wires:
    """Element by element, shapes broadcast."""
    spread = np.broadcast_arrays(*arrays)
    return _array(
        [function(*element) for element in zip(*(a.ravel() for a in spread), strict=True)], spread[0].shape
    )


def _steps(node: Node, codes: Codes) -> NDArray[np.float64]:
    return np.ldexp(codes.astype(np.float64), -node.interval.fraction)


def _constant(value: float) -> FVariable:
    return FVariable.from_const(float(value), hwconf=HARDWARE)


def _fixed(wire: FVariable) -> bool:
    return bool(wire.low == wire.high)


def _input(node: Node) -> Wires:
    low, high, step = (
        _steps(node, node.interval.low),
        _steps(node, node.interval.high),
        np.ldexp(1.0, -node.interval.fraction),
    )
    return np.asarray(FVArray.from_lhs(low, high, step, hwconf=HARDWARE))


def _constants(node: Node) -> Wires:
    return _each(_constant, _steps(node, node.interval.low))


def _linear(node: Node, x: Wires, depth: int) -> Wires:
    weight = node.attributes["weight"].value()
    bias = node.attributes["bias"].value() if node.attributes["bias"] is not None else np.zeros(len(weight))
    rows = [_matrix(weight, bias, row, depth) for row in x.reshape(-1, x.shape[-1])]
    return _array([wire for row in rows for wire in row], node.shape)


def _matrix(weight: NDArray[np.float64], bias: NDArray[np.float64], x: Wires, depth: int) -> list[FVariable]:
    """weight @ x + bias. The solver stumbles over constants and over rows of zeros: neither reaches it."""
    fixed = np.array([_fixed(wire) for wire in x])
    offset = bias + weight[:, fixed] @ np.array([float(wire.low) for wire in x[fixed]], dtype=np.float64)
    used = np.flatnonzero(~fixed & (weight != 0).any(axis=0))
    live = np.flatnonzero((weight[:, used] != 0).any(axis=1))
    out = [_constant(value) for value in offset]
    if used.size and live.size:
        products = FVArray(x[used], {"hard_dc": depth}, hwconf=HARDWARE) @ weight[np.ix_(live, used)].T
        for row, product in zip(live, np.asarray(products).ravel(), strict=True):
            out[row] = product + float(offset[row])
    return out


def _table(node: Node, x: Wires) -> Wires:
    fractions = node.interval.fraction.ravel().tolist()
    lows = node.sources[0].interval.low.ravel()
    steps = node.sources[0].interval.fraction.ravel()
    wires = []
    for wire, entries, f, low, step in zip(
        x.ravel(), node.attributes["entries"], fractions, lows, steps, strict=True
    ):
        # The tracer may know another interval than the graph, or a coarser step: one entry for each value it counts with.
        first, last = (round(math.ldexp(end, int(step))) - int(low) for end in (wire.low, wire.high))
        stride = 1 if _fixed(wire) else round(math.ldexp(wire.step, int(step)))
        addresses = np.clip(np.arange(first, last + 1, stride), 0, len(entries) - 1)
        reachable = np.ldexp(entries[addresses].astype(np.float64), -f)
        wires.append(_constant(reachable[0]) if reachable.size == 1 else wire.lookup(reachable))
    return _array(wires, node.shape)


def _gate(node: Node, x: Wires, mask: Wires) -> Wires:
    def choose(wire: FVariable, real: FVariable, otherwise: float) -> FVariable:
        if _fixed(real):
            return wire if real.low == 1 else _constant(otherwise)
        return real.msb_mux(wire, otherwise)

    return _each(choose, x, mask, _steps(node, node.attributes["otherwise"]))


def _maximum(node: Node, x: Wires) -> Wires:
    return _array([_greatest(list(row)) for row in x.reshape(-1, x.shape[-1])], node.shape)


def _greatest(wires: list[FVariable]) -> FVariable:
    """A tree of three-way maxima: the comparisons of a node run side by side, so nine wires need two levels, not four."""
    while len(wires) > 1:
        groups = [wires[n : n + 3] for n in range(0, len(wires), 3)]
        wires = [_maximum_of(*group) for group in groups]
    return wires[0]


def _maximum_of(a: FVariable, b: FVariable | None = None, c: FVariable | None = None) -> FVariable:
    if b is None:
        return a
    if c is None:
        return _larger(a - b, a, b)
    return _larger(a - b, _larger(a - c, a, c), _larger(b - c, b, c))


def _larger(difference: FVariable, a: FVariable, b: FVariable) -> FVariable:
    """a where the difference is 0 or above, else b."""
    if difference.low >= 0:
        return a
    if difference.high < 0:
        return b
    return difference.msb_mux(b, a)


def _quantise(node: Node, x: Wires) -> Wires:
    fmt: Format = node.attributes["format"]
    return _each(_quantised, x, fmt.k, fmt.i, fmt.f)


def _quantised(wire: FVariable, k: int, i: int, f: int) -> FVariable:
    """Q: round half up, then saturate, with the fewest gates: one test of the upper bits and one multiplexer."""
    k, i, f = int(k), int(i), int(f)
    if k + i + f <= 0:
        return _constant(0.0)
    low, high = -k * 2.0**i, 2.0**i - 2.0**-f
    if _fixed(wire):
        return _constant(min(max(math.floor(wire.low * 2.0**f + 0.5) * 2.0**-f, low), high))
    wire = _rounded(wire, f)
    if _fixed(wire):
        return _constant(min(max(wire.low, low), high))
    if k == 0 and wire.low < 0:
        wire = wire.relu()
        if _fixed(wire):
            return _constant(min(wire.low, high))
    if wire.low >= low and wire.high <= high:
        return wire
    if wire.high <= low or wire.low >= high:
        return _constant(low if wire.high <= low else high)
    upper = wire._wrap(int(wire.kif[0]), int(wire.kif[1]), -i)
    kept = wire._wrap(k, i, f)
    stride = max(round(upper.step * 2.0**-i), 1)  # the wire's own grid may be coarser than the whole format
    steps = np.arange(round(upper.low * 2.0**-i), round(upper.high * 2.0**-i) + 1, stride)
    outside = upper.lookup(((steps < -k) | (steps > 0)).astype(np.float64))
    if wire.low >= low:
        return outside.msb_mux(high, kept)
    if wire.high <= high:
        return outside.msb_mux(low, kept)
    return outside.msb_mux(wire.is_negative().msb_mux(low, high), kept)


def _rounded(wire: FVariable, f: int) -> FVariable:
    _, i, fraction = (int(part) for part in wire.kif)
    if fraction <= f:
        return wire
    wire = wire + 2.0 ** (-f - 1)
    k, i, _ = (int(part) for part in wire.kif)
    return wire._wrap(k, i, f)


def _unsigned(wire: FVariable) -> FVariable:
    return wire if wire.low >= 0 else wire._wrap(0, int(wire.kif[1]), int(wire.kif[2]))


def _total(node: Node, x: Wires) -> Wires:
    rows = [np.sum(FVArray(row, hwconf=HARDWARE)) for row in x.reshape(-1, x.shape[-1])]
    return _array(rows, node.shape)


LOWERINGS: dict[str, Callable[..., Wires]] = {
    "input": _input,
    "constant": _constants,
    "rearrange": lambda node, x: x.ravel()[node.attributes["index"]],
    "concatenate": lambda node, *parts: np.concatenate(parts),
    "linear": _linear,
    "add": lambda node, a, b: _each(lambda x, y: x + y, a, b),
    "multiply": lambda node, a, b: _each(lambda x, y: x * y, a, b),
    "negate": lambda node, x: _each(lambda wire: -wire, x),
    "total": _total,
    "maximum": _maximum,
    "gate": _gate,
    "unsigned": lambda node, x: _each(_unsigned, x),
    "relu": lambda node, x: _each(
        lambda wire: _constant(max(wire.low, 0.0)) if _fixed(wire) else wire.relu(), x
    ),
    "quantise": _quantise,
    "table": _table,
}


def interpret(program: CombLogic, inputs: NDArray[np.float64]) -> NDArray[np.float64]:
    """The tracer's own interpreter: real inputs `[jets, inputs]` to real logits `[jets, C]`."""
    return np.asarray(program.predict(np.ascontiguousarray(inputs, dtype=np.float64), n_threads=1))


def values(program: CombLogic, inputs: NDArray[np.float64]) -> NDArray[np.float64]:
    """What every operation of the program gives, real `[jets, operations]`."""
    count = len(program.ops)
    every = program._replace(
        shape=(program.shape[0], count),
        out_idxs=list(range(count)),
        out_shifts=[0] * count,
        out_negs=[False] * count,
    )
    return interpret(every, inputs)


def codes(program: CombLogic, inputs: NDArray[np.float64]) -> Codes:
    """The same as integers `[jets, operations]`, each on its own grid."""
    fractions = [int(op.qint.kif[2]) for op in program.ops]
    return np.rint(np.ldexp(values(program, inputs), fractions)).astype(np.int64)


def save(program: CombLogic, path: Path) -> None:
    program.save(path)


def load(path: Path) -> CombLogic:
    return CombLogic.load(path)


INPUT, ADD, SUBTRACT, ADD_CONSTANT, CONSTANT, MULTIPLEX, MULTIPLY, LOOK_UP = -1, 0, 1, 4, 5, 6, 7, 8
SLICE = 3
NO_LOGIC = (INPUT, SLICE, CONSTANT)


def delays(program: CombLogic) -> list[float]:
    """The tracer's delay of each operation, in its units (a short adder is about 1.2), with two corrections.

    It takes constant additions as free: one after an adder or multiplier makes that a three-operand sum (0.22 more, its
    own figure for a ternary adder), any other is counted as an adder. A multiplexer of two constants is wires to
    the next one.
    """
    out = []
    for op in program.ops:
        delay = op.latency - max((program.ops[source].latency for source in op.addr), default=0.0)
        if op.opcode == ADD_CONSTANT:
            after_sum = program.ops[op.addr[0]].opcode in (ADD, SUBTRACT, MULTIPLY)
            delay = 0.22 if after_sum else 1.09375 + 0.025390625 * (sum(op.qint.kif) - 1)
        elif op.opcode == MULTIPLEX and all(program.ops[source].opcode == CONSTANT for source in op.addr[:2]):
            delay = 0.0
        out.append(delay)
    return out


def stages_of(program: CombLogic, stage_delay: float) -> list[int]:
    """The clock cycle of each operation: as early as its sources and the longest allowed delay of a cycle let it be.

    An operation is never split, so one that alone takes longer than `stage_delay` gets a cycle to itself.
    """
    stages: list[int] = []
    arrival: list[float] = []
    for op, delay in zip(program.ops, delays(program), strict=True):
        stage = max((stages[source] for source in op.addr), default=0)
        start = max((arrival[source] for source in op.addr if stages[source] == stage), default=0.0)
        if start > 0 and start + delay > stage_delay:
            stage, start = stage + 1, 0.0
        stages.append(stage)
        arrival.append(start + delay)
    return stages


@dataclass(frozen=True)
class Pipeline:
    """The program and the clock cycle of each operation; there are registers before the first cycle and after the last."""

    program: CombLogic
    stage: list[int]
    stage_delay: float

    @property
    def stages(self) -> int:
        return max(self.stage) + 1

    @property
    def latency_cycles(self) -> int:
        """Clock edges from the cycle in which a jet is at the inputs to that in which its logits are at the outputs."""
        return self.stages + 1

    def input_formats(self) -> list[tuple[int, int, int]]:
        return [_kif(interval) for interval in self.program.inp_qint]

    def output_formats(self) -> list[tuple[int, int, int]]:
        return [_kif(interval) for interval in self.program.out_qint]

    def width(self, number: int) -> int:
        return int(sum(self.program.ops[number].qint.kif))

    def last_use(self) -> list[int]:
        """The last cycle that needs each value; the outputs are needed until the end."""
        last = list(self.stage)
        for number, op in enumerate(self.program.ops):
            for source in op.addr:
                last[source] = max(last[source], self.stage[number])
        for number in self.program.out_idxs:
            last[number] = self.stages
        return last

    def carried(self) -> list[list[int]]:
        """The values that the registers before each cycle hold, and, at the end, those that are the outputs."""
        last, rows = self.last_use(), [list[int]() for _ in range(self.stages + 1)]
        for number, op in enumerate(self.program.ops):
            if op.opcode == CONSTANT or self.width(number) == 0:
                continue
            first = 0 if op.opcode == INPUT else self.stage[number] + 1
            for row in range(first, last[number] + 1):
                rows[row].append(number)
        return rows

    @property
    def register_bits(self) -> int:
        return sum(self.width(number) for row in self.carried() for number in row)


def _kif(interval: Any) -> tuple[int, int, int]:
    k, i, f = interval.kif
    return int(k), int(i), int(f)


def pipeline(program: CombLogic, stage_delay: float) -> Pipeline:
    return Pipeline(program, stages_of(program, stage_delay), stage_delay)


def pipeline_of(program: CombLogic, stages: int) -> Pipeline:
    """The shortest stage delay, to a hundredth, that needs at most `stages` clock cycles."""
    low, high = 0.0, sum(delays(program)) + 1
    while high - low > 0.01:
        middle = (low + high) / 2
        if max(stages_of(program, middle)) + 1 <= stages:
            high = middle
        else:
            low = middle
    return pipeline(program, round(high, 2) + 0.01)


def version() -> str:
    return f"alkaid {importlib.metadata.version('alkaid')}"


def verilog(line: Pipeline, name: str) -> dict[str, str]:
    """File name to Verilog: one module a clock cycle, the module that chains them, tables, and the tracer's own modules.

    Every value keeps a register of its own, under its own name: easier to follow in a waveform than the tracer's wide
    buses, and 15 % less C++ from Verilator (33.5 MB instead of 39.3 for a pruned tiny network; its own time is the same).
    """
    files = library()
    tables = lookup_source([line.program])
    if tables:
        files[f"{name}_tables.v"] = tables
    carried, statements = line.carried(), _statements(line)
    for stage in range(line.stages):
        files[f"{name}_stage{stage}.v"] = _stage_module(line, name, stage, carried, statements[stage])
    files[f"{name}.v"] = _chain(line, name, carried)
    return files


def _statements(line: Pipeline) -> list[list[str]]:
    """The tracer's Verilog of every operation, by clock cycle; constants wherever they are read."""
    printed = {int(re.match(r"wire \[\d+:0\] v(\d+);", text)[1]): text for text in ssa_gen(line.program, {})}  # type: ignore[index]
    rows: list[dict[int, str]] = [{} for _ in range(line.stages)]
    for number, op in enumerate(line.program.ops):
        if number not in printed or op.opcode in (INPUT, CONSTANT):
            continue
        row = rows[line.stage[number]]
        row |= {
            source: printed[source]
            for source in op.addr
            if line.program.ops[source].opcode == CONSTANT and source in printed
        }
        row[number] = printed[number]
    for number in line.program.out_idxs:
        if line.program.ops[number].opcode == CONSTANT and number in printed:
            rows[-1][number] = printed[number]
    return [list(row.values()) for row in rows]


def _stage_module(
    line: Pipeline, name: str, stage: int, carried: list[list[int]], statements: list[str]
) -> str:
    inputs, outputs = carried[stage], carried[stage + 1]
    ports = ["    input wire clk"]
    ports += [f"    input wire [{line.width(n) - 1}:0] v{n}" for n in inputs]
    ports += [f"    output reg [{line.width(n) - 1}:0] q{n}" for n in outputs]
    registers = [f"        q{n} <= v{n};" for n in outputs]
    return "\n".join(
        [
            "`timescale 1ns / 1ps",
            "",
            f"// clock cycle {stage} of {line.stages}",
            f"module {name}_stage{stage} (",
            ",\n".join(ports),
            ");",
            *(f"    {text}" for text in statements),
            "    always @(posedge clk) begin",
            *registers,
            "    end",
            "endmodule",
            "",
        ]
    )


def _chain(line: Pipeline, name: str, carried: list[list[int]]) -> str:
    """`model_inp` and `model_out`: all inputs and outputs, the first in the lowest bits, constants included."""
    program = line.program
    place, low = {}, 0
    inputs = {op.data[0]: number for number, op in enumerate(program.ops) if op.opcode == INPUT}
    for position, kif in enumerate(line.input_formats()):
        place[inputs.get(position)] = (low, sum(kif))
        low += sum(kif)
    body = [f"    reg [{line.width(n) - 1}:0] s0_v{n};" for n in carried[0]]
    body += [
        f"    always @(posedge clk) s0_v{n} <= model_inp[{place[n][0]} +: {place[n][1]}];" for n in carried[0]
    ]
    for stage in range(line.stages):
        following = carried[stage + 1]
        body += [f"    wire [{line.width(n) - 1}:0] s{stage + 1}_v{n};" for n in following]
        ports = [".clk(clk)", *(f".v{n}(s{stage}_v{n})" for n in carried[stage])]
        ports += [f".q{n}(s{stage + 1}_v{n})" for n in following]
        # a line each: Verilator 5.048 loses its way in lines of more than 64 kB
        connections = ",\n        ".join(ports)
        body.append(f"    {name}_stage{stage} stage{stage} (\n        {connections}\n    );")
    bit = 0
    for position, (number, kif) in enumerate(zip(program.out_idxs, line.output_formats(), strict=True)):
        width = sum(kif)
        if width:
            assert not program.out_negs[position]
            op = program.ops[number]
            code = (
                f"{width}'d{op.data[0] % 2**width}" if op.opcode == CONSTANT else f"s{line.stages}_v{number}"
            )
            body.append(f"    assign model_out[{bit} +: {width}] = {code};")
            bit += width
    header = [
        f"module {name} (",
        "    input wire clk,",
        "    // verilator lint_off UNUSEDSIGNAL",
        f"    input wire [{low - 1}:0] model_inp,",
        "    // verilator lint_on UNUSEDSIGNAL",
        f"    output wire [{max(bit, 1) - 1}:0] model_out",
        ");",
    ]
    return "\n".join(["`timescale 1ns / 1ps", "", *header, *body, "endmodule", ""])


def cpp(program: CombLogic, name: str) -> tuple[str, str, str]:
    """The program as C++ for Vitis HLS: a function template `name` of inputs and outputs, and the types of the two."""
    code, _ = hls_logic_and_bridge_gen(program, name, "vitis", ["#pragma HLS INLINE"])
    shifts = (_hls_sources() / "vitis_bitshift.hh").read_text().removeprefix("#pragma once\n")
    return f"{shifts}\n{code}", *get_io_types(program, "vitis")


def cpp_headers() -> Path:
    """The folder of ap_fixed.h that comes with the tracer (by Xilinx, Apache-2.0)."""
    return _hls_sources() / "ap_types/include"


def _hls_sources() -> Path:
    import alkaid

    return Path(alkaid.__file__).parent / "codegen/hls/source"


def library() -> dict[str, str]:
    """The tracer's parametrised modules."""
    import alkaid

    folder = Path(alkaid.__file__).parent / "codegen/rtl/verilog/source"
    return {path.name: path.read_text() for path in sorted(folder.glob("*.v"))}


def with_multipliers_in(text: str, dsp: bool) -> str:
    """The tracer's multiplier with the attribute that tells Vivado where it belongs."""
    attribute = f'(* use_dsp = "{"yes" if dsp else "no"}" *)'
    return text.replace("module multiplier", f"{attribute}\nmodule multiplier", 1)


def operations(line: Pipeline, numbers: Iterable[int] | None = None) -> Counter[str]:
    """Each distinct operation (of all, or of `numbers`) as Verilog of a module named MODULE, and how often it occurs.

    An operand that is constant is constant in the module too, so that synthesis sees what it will see in the circuit.
    """
    program = line.program
    found: Counter[str] = Counter()
    printed: dict[str, str] = {}
    references = program.ref_count
    for number in range(len(program.ops)) if numbers is None else numbers:
        op = program.ops[number]
        if references[number] == 0 or op.opcode in NO_LOGIC or sum(op.qint.kif) == 0:
            continue
        small = _alone(program, op)
        tables = program.lookup_tables or ()
        key = str(small.ops) + (tables[op.data[0]].spec.hash if op.opcode == LOOK_UP else "")
        if key not in printed:
            printed[key] = comb_logic_gen(small, "MODULE") + lookup_source([small])
        found[printed[key]] += 1
    return found


def _alone(program: CombLogic, op: Op) -> CombLogic:
    """A program of one operation."""
    ops: list[Op] = []
    inputs = 0
    place: dict[int, int] = {}
    for source in op.addr:
        if source in place:
            continue
        original = program.ops[source]
        place[source] = len(ops)
        if original.opcode == CONSTANT:
            ops.append(original._replace(latency=0.0))
        else:
            ops.append(Op((), -1, (inputs,), original.qint, 0.0, 0.0))
            inputs += 1
    ops.append(op._replace(addr=tuple(place[source] for source in op.addr), latency=0.0, cost=0.0))
    return program._replace(
        shape=(inputs, 1),
        inp_shifts=[0] * inputs,
        out_idxs=[len(ops) - 1],
        out_shifts=[0],
        out_negs=[False],
        ops=ops,
    )
