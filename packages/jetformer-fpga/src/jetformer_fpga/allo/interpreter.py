"""Executes a generated program without Allo: its own text, many jets at once, with Allo's rules for integers.

A sum of integers has one bit more than its terms, a product the bits of both factors, a shift keeps the type of what is
shifted, a literal has 32 bits, and what is stored is cut to the declared type. Whatever is cut is an overflow: it is wrapped
as hardware would do it, and reported. Every number holds one value a jet, so that a program of 30,000 steps takes a second.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import FpgaError
from ..fixed_point import Codes
from .source import Program


@dataclass(frozen=True)
class Overflow:
    """A number that did not fit: the line of the program, the declared bits, in how many jets."""

    line: int
    bits: int
    jets: int


def interpret(program: Program, x: Codes, mask: NDArray[np.bool_]) -> tuple[Codes, list[Overflow]]:
    """Codes of the logits `[jets, C]` of features `[jets, P, F]` (codes) and mask `[jets, P]`, and all overflows."""
    machine = _Machine()
    given = {"features": np.where(mask[..., None], x, 0), "mask": mask.astype(np.int64)}
    arrays = {}
    for argument in program.arguments:
        made = arrays[argument.name] = Array(machine, argument.bits, argument.shape, len(x))
        if argument.name in given:
            made.values[...] = np.moveaxis(given[argument.name], 0, -1)
    machine.load(program.text)["top"](*arrays.values())
    found = [Overflow(line, bits, jets) for (line, bits), jets in sorted(machine.overflows.items())]
    return np.moveaxis(arrays["logits"].values, -1, 0).copy(), found


@dataclass(frozen=True)
class Number:
    """One integer of `bits` a jet."""

    machine: _Machine
    values: Codes
    bits: int

    def _other(self, other: Number | int) -> Number:
        return other if isinstance(other, Number) else Number(self.machine, np.array([other]), 32)

    def __add__(self, other: Number | int) -> Number:
        b = self._other(other)
        return Number(self.machine, self.values + b.values, max(self.bits, b.bits) + 1)

    def __radd__(self, other: int) -> Number:
        return self._other(other) + self

    def __rsub__(self, other: int) -> Number:
        return Number(self.machine, other - self.values, max(self.bits, 32) + 1)

    def __mul__(self, other: Number | int) -> Number:
        b = self._other(other)
        return Number(self.machine, self.values * b.values, self.bits + b.bits)

    def __rmul__(self, other: int) -> Number:
        return self._other(other) * self

    def __lshift__(self, other: Number | int) -> Number:
        return self.machine.cut(self.values << self._other(other).values, self.bits)

    def __rshift__(self, other: Number | int) -> Number:
        return Number(self.machine, self.values >> self._other(other).values, self.bits)

    def __gt__(self, other: Number | int) -> NDArray[np.bool_]:
        return np.asarray(self.values > self._other(other).values)

    def __lt__(self, other: Number | int) -> NDArray[np.bool_]:
        return np.asarray(self.values < self._other(other).values)


class Array:
    """Numbers of one type, one value a jet along the last axis of `values`."""

    def __init__(self, machine: _Machine, bits: int, shape: tuple[int, ...], jets: int) -> None:
        self.machine, self.bits, self.shape = machine, bits, shape
        self.values = np.zeros((*shape, jets), dtype=np.int64)

    def __getitem__(self, places: Any) -> Number:
        places = places if isinstance(places, tuple) else (places,)
        if len(places) != len(self.shape):
            raise FpgaError(f"an array of shape {self.shape} was read at {len(places)} coordinates")
        if any(isinstance(place, Number) for place in places):
            return self._looked_up(places)
        self._check(places)
        return Number(self.machine, self.values[places], self.bits)

    def _looked_up(self, places: tuple[Any, ...]) -> Number:
        """Where an address differs from jet to jet."""
        places = tuple(place.values if isinstance(place, Number) else np.array([place]) for place in places)
        self._check([place.min() for place in places])
        self._check([place.max() for place in places])
        jets = max(self.values.shape[-1], *(place.size for place in places))
        which = np.arange(jets) if self.values.shape[-1] > 1 else np.zeros(jets, dtype=np.int64)
        return Number(self.machine, self.values[(*places, which)], self.bits)

    def _check(self, places: Any) -> None:
        """Allo has no negative indices: they would leave the array."""
        if any(not 0 <= place < size for place, size in zip(places, self.shape, strict=True)):
            raise FpgaError(f"{tuple(places)} lies outside an array of shape {self.shape}")

    def __setitem__(self, places: Any, value: Number | int) -> None:
        places = places if isinstance(places, tuple) else (places,)
        self._check(places)
        self.values[places] = self.machine.as_type(value, self.bits).values


class Type:
    """`int16`, and `int16[9, 8]` in annotations."""

    def __init__(self, bits: int, shape: tuple[int, ...] = ()) -> None:
        self.bits, self.shape = bits, shape

    def __getitem__(self, shape: int | tuple[int, ...]) -> Type:
        return Type(self.bits, shape if isinstance(shape, tuple) else (shape,))


class _Machine:
    """Runs programs and remembers where something was cut."""

    def __init__(self) -> None:
        self.overflows: dict[tuple[int, int], int] = {}
        self.line = 0

    def load(self, text: str) -> dict[str, Any]:
        """The functions of a program."""
        tree = ast.fix_missing_locations(_Rewriter().visit(ast.parse(text)))
        names: dict[str, Any] = {f"int{bits}": Type(bits) for bits in (8, 16, 32, 64)}
        names |= {
            "np": np,
            "_declare": self.declare,
            "_choose": self.choose,
            "_update": self.update,
            "_at": self.at,
        }
        names["_argument"] = self.argument
        exec(compile(tree, "<allo program>", "exec"), names)
        return names

    def at(self, line: int) -> None:
        self.line = line

    def cut(self, values: Codes, bits: int) -> Number:
        half = 1 << (bits - 1)
        out = (values < -half) | (values >= half)
        if bits < 64 and out.any():
            key = (self.line, bits)
            self.overflows[key] = self.overflows.get(key, 0) + int(np.count_nonzero(out))
            values = ((values + half) & ((1 << bits) - 1)) - half
        return Number(self, values, bits)

    def as_type(self, value: Number | int, bits: int) -> Number:
        return self.cut(value.values if isinstance(value, Number) else np.array([value]), bits)

    def declare(self, line: int, kind: Type, value: Any = None) -> Any:
        """`name: kind = value`: a number, an array of constants or an array to be filled."""
        self.line = line
        if not kind.shape:
            return self.as_type(value, kind.bits)
        if value is None:
            return Array(self, kind.bits, kind.shape, self.jets)
        if value.shape != kind.shape or value.dtype != np.dtype(f"int{kind.bits}"):
            raise FpgaError(
                f"line {line}: constants of {value.dtype} {value.shape} for int{kind.bits}{kind.shape}"
            )
        made = Array(self, kind.bits, kind.shape, 1)
        made.values[..., 0] = value
        return made

    def argument(self, line: int, kind: Type, array: Array) -> None:
        """Allo passes arrays of one type only where the same type is declared."""
        if (kind.bits, kind.shape) != (array.bits, array.shape):
            raise FpgaError(
                f"line {line}: an array int{array.bits}{array.shape} for int{kind.bits}{kind.shape}"
            )
        self.jets = array.values.shape[-1]

    def update(self, old: Number, new: Number | int) -> Number:
        """A number keeps the type it was declared with."""
        return self.as_type(new, old.bits)

    def choose(self, test: NDArray[np.bool_], yes: Number | int, no: Number | int) -> Number:
        a, b = (
            side if isinstance(side, Number) else Number(self, np.array([side]), 32) for side in (yes, no)
        )
        return Number(self, np.where(test, a.values, b.values), max(a.bits, b.bits))


class _Rewriter(ast.NodeTransformer):
    """Typed declarations, choices and assignments become calls of the machine; the schedule and imports go."""

    def visit_Import(self, node: ast.Import) -> None:
        return None

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        return None

    def visit_FunctionDef(self, node: ast.FunctionDef) -> Any:
        if node.name == "schedule":
            return None
        checks = []
        for argument in node.args.args:
            assert argument.annotation is not None
            checks.append(ast.Expr(_call("_argument", node, argument.annotation, _name(argument.arg))))
            argument.annotation = None
        self.generic_visit(node)
        node.body = [*checks, *node.body]
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> Any:
        self.generic_visit(node)
        values = [node.value] if node.value is not None else []
        return _copied(ast.Assign([node.target], _call("_declare", node, node.annotation, *values)), node)

    def visit_AugAssign(self, node: ast.AugAssign) -> Any:
        self.generic_visit(node)
        assert isinstance(node.target, ast.Name)
        old = _name(node.target.id)
        new = ast.Call(_name("_update"), [old, ast.BinOp(old, node.op, node.value)], [])
        return [_mark(node), _copied(ast.Assign([node.target], new), node)]

    def visit_Assign(self, node: ast.Assign) -> Any:
        self.generic_visit(node)
        target = node.targets[0]
        if (
            isinstance(target, ast.Name)
            and isinstance(node.value, ast.Call)
            and getattr(node.value.func, "id", "") == "_choose"
        ):
            node.value = ast.Call(_name("_update"), [_name(target.id), node.value], [])
        return [_mark(node), node]

    def visit_IfExp(self, node: ast.IfExp) -> Any:
        self.generic_visit(node)
        return ast.Call(_name("_choose"), [node.test, node.body, node.orelse], [])


def _name(text: str) -> ast.Name:
    return ast.Name(text, ast.Load())


def _call(name: str, at: Any, *arguments: ast.expr) -> ast.Call:
    return ast.Call(_name(name), [ast.Constant(at.lineno), *arguments], [])


def _mark(node: ast.stmt) -> ast.stmt:
    return _copied(ast.Expr(ast.Call(_name("_at"), [ast.Constant(node.lineno)], [])), node)


def _copied(new: ast.stmt, old: ast.stmt) -> ast.stmt:
    return ast.copy_location(new, old)
