"""Which bits of the circuit's ports hold what: the port map, the Verilog of the top level, and packing for simulation.

Features are packed constituent by constituent, feature by feature, the first in the lowest bits; bit p of the mask is
constituent p (True = real constituent); answers (logits, ...) are in the order of the classes, in a port named after
them. Every number is a two's-complement or unsigned code of its (k, i, f). The inputs of a padded constituent are ignored
in effect: put zeros there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import answers
from .fixed_point import Codes
from .state import State

Kif = tuple[int, int, int]
TOP = "jetformer"
CORE = "jetformer_pipeline"


@dataclass(frozen=True)
class Field:
    """One number in a port: `width` bits from `low_bit` up."""

    name: str
    kif: Kif
    low_bit: int

    @property
    def width(self) -> int:
        return max(sum(self.kif), 0)

    def as_json(self) -> dict[str, Any]:
        high = self.low_bit + self.width - 1
        return {
            "name": self.name,
            "kif": list(self.kif),
            "low_bit": self.low_bit,
            "high_bit": high,
            "bits": self.width,
        }


@dataclass(frozen=True)
class Port:
    name: str
    fields: tuple[Field, ...]

    @classmethod
    def of(cls, name: str, numbers: Sequence[tuple[str, Kif]]) -> Port:
        fields: list[Field] = []
        for label, kif in numbers:
            fields.append(Field(label, kif, fields[-1].low_bit + fields[-1].width if fields else 0))
        return cls(name, tuple(fields))

    @property
    def width(self) -> int:
        return max(sum(field.width for field in self.fields), 1)

    @property
    def words(self) -> int:
        return (self.width + 31) // 32

    def pack(self, codes: Codes) -> NDArray[np.uint32]:
        """Codes `[rows, fields]` to 32-bit words `[rows, words]`."""
        bits = np.zeros((len(codes), self.words * 32), dtype=np.uint8)
        for column, field in enumerate(self.fields):
            places = np.arange(field.width)
            bits[:, field.low_bit + places] = (codes[:, column, None] >> places) & 1
        return np.packbits(bits, axis=1, bitorder="little").view("<u4")

    def unpack(self, words: NDArray[np.uint32]) -> Codes:
        """32-bit words `[rows, words]` to codes `[rows, fields]`."""
        raw = np.ascontiguousarray(words, dtype="<u4").view(np.uint8)
        bits = np.unpackbits(raw, axis=1, bitorder="little").astype(np.int64)
        codes = np.zeros((len(words), len(self.fields)), dtype=np.int64)
        for column, field in enumerate(self.fields):
            weights = 1 << np.arange(field.width, dtype=np.int64)
            if field.kif[0] and field.width:
                weights[-1] = -weights[-1]
            codes[:, column] = bits[:, field.low_bit : field.low_bit + field.width] @ weights
        return codes


@dataclass(frozen=True)
class Ports:
    features: Port
    mask: Port
    answers: Port

    def as_json(self) -> dict[str, Any]:
        ports = {port.name: port for port in (self.features, self.mask, self.answers)}
        return {
            name: {"width": port.width, "fields": [field.as_json() for field in port.fields]}
            for name, port in ports.items()
        }

    def as_markdown(self, latency_cycles: int) -> str:
        lines = [
            f"# Ports of `{TOP}`",
            "",
            f"A new jet may enter in every clock cycle; its answer leaves {latency_cycles} cycles later, with `valid_out`.",
            "A field is a code n of value n * 2^-f: two's complement where k = 1, unsigned where k = 0.",
            "`rst` (synchronous, active high) clears the valid flags in flight; data need no reset.",
            "",
            "| port | bits | field | (k, i, f) |",
            "|---|---|---|---|",
            "| clk, rst, valid_in | 1 each | in | |",
            "| valid_out | 1 | out | |",
        ]
        for port in (self.features, self.mask, self.answers):
            for field in port.fields:
                place = f"{field.low_bit + field.width - 1}:{field.low_bit}" if field.width else "none"
                lines.append(f"| {port.name} | {place} | {field.name} | {field.kif} |")
        lines += [
            "",
            f"`{TOP}_axis` has AXI4-Stream on both sides (`aclk`, `aresetn`). One transfer in is one jet: features in",
            "the lowest bits of `s_axis_tdata`, the mask above them. One transfer out is its answer. It takes a jet in",
            "every cycle unless the receiver makes it wait, and loses none.",
        ]
        return "\n".join(lines) + "\n"


def ports_of(state: State) -> Ports:
    names = [f"constituent {p} {name}" for p in range(state.constituents) for name in state.inputs.features]
    inputs = state.formats["features"].spread(state.input_shape).kif().reshape(-1, 3)
    features = list(zip(names, _tuples(inputs), strict=True))
    mask = [(f"constituent {p} is real", (0, 1, 0)) for p in range(state.constituents)]
    answer, labels = answers.names(state)
    formats = _tuples(state.formats["logits"].spread((state.outputs,)).kif())
    numbers = list(zip(labels, formats, strict=True))
    return Ports(Port.of("features", features), Port.of("mask", mask), Port.of(answer, numbers))


def _tuples(kif: NDArray[np.int64]) -> list[Kif]:
    return [(int(k), int(i), int(f)) for k, i, f in kif]


def top_level(
    ports: Ports, core_inputs: Sequence[Kif], core_outputs: Sequence[Kif], latency_cycles: int
) -> str:
    """The Verilog of the top level: names and widths that don't depend on what the tracer found to be constant."""
    fields = [(port.name, field) for port in (ports.features, ports.mask) for field in port.fields]
    wires = [
        f"{port}[{field.low_bit + sum(kif) - 1}:{field.low_bit}]"
        for (port, field), kif in zip(fields, core_inputs, strict=True)
        if sum(kif) > 0
    ]
    raw_width = max(sum(max(sum(kif), 0) for kif in core_outputs), 1)
    assignments, low = [], 0
    for field, kif in zip(ports.answers.fields, core_outputs, strict=True):
        width = max(sum(kif), 0)
        assignments.append(_assignment(ports.answers.name, field, kif, low))
        low += width
    logits = "\n".join(assignments)
    packed = ",\n        ".join(reversed(wires))
    return f"""// {TOP}: one jet a clock cycle, its answer {latency_cycles} cycles later. See ports.md.
`timescale 1ns / 1ps

module {TOP} (
    input wire clk,
    input wire rst,
    input wire valid_in,
    // verilator lint_off UNUSEDSIGNAL
    input wire [{ports.features.width - 1}:0] features,
    input wire [{ports.mask.width - 1}:0] mask,
    // verilator lint_on UNUSEDSIGNAL
    output wire valid_out,
    output wire [{ports.answers.width - 1}:0] {ports.answers.name}
);
    wire [{raw_width - 1}:0] raw;
    {CORE} core (
        .clk(clk),
        .model_inp({{
        {packed}
        }}),
        .model_out(raw)
    );

{logits}

    reg [{latency_cycles - 1}:0] valid;
    always @(posedge clk) valid <= rst ? {latency_cycles}'d0 : {{valid[{latency_cycles - 2}:0], valid_in}};
    assign valid_out = valid[{latency_cycles - 1}];
endmodule
"""


def _assignment(port: str, field: Field, kif: Kif, low: int) -> str:
    """The tracer prints as few bits as its intervals need: add the zeros below and the sign above."""
    k, _, f = kif
    width = max(sum(kif), 0)
    if field.width == 0:
        return f"    // {field.name} has no bits"
    if width == 0:
        return f"    assign {port}[{field.low_bit} +: {field.width}] = {field.width}'d0;"
    below = field.kif[2] - f
    above = field.width - width - below
    assert min(below, above) >= 0, f"{field.name}: {kif} does not fit {field.kif}"
    sign = f"raw[{low + width - 1}]" if k else "1'b0"
    parts = (
        [f"{{{above}{{{sign}}}}}"] * (above > 0) + [f"raw[{low} +: {width}]"] + [f"{below}'d0"] * (below > 0)
    )
    return f"    assign {port}[{field.low_bit} +: {field.width}] = {{{', '.join(parts)}}};"
