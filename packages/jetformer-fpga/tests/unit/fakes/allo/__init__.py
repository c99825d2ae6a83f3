"""A stand-in for Allo: takes the same calls, executes programs with the interpreter of the tests, writes C++ line by line.

`FAKE_ALLO` names a fault: exit, abort, wrong (one logit differs), bare (C++ without pragmas).
"""

import ast
import os
import sys
from pathlib import Path

import numpy as np

from jetformer_fpga.allo.interpreter import Array, _Machine

HEADERS = ("ap_axi_sdata", "ap_fixed", "ap_int", "hls_math", "hls_stream", "hls_vector", "math", "stdint")
FAULT = os.environ.get("FAKE_ALLO", "")


def customize(function):
    return Schedule(function)


class Schedule:
    def __init__(self, function):
        self.function, self.path = function, sys.modules[function.__module__].__file__
        self.asked = []

    def pipeline(self, loop):
        self.asked.append(("pipeline", loop))

    def compose(self, schedules):
        self.asked += [ask for schedule in schedules for ask in schedule.asked]

    def partition(self, target, dim):
        assert target.startswith("top:")
        self.asked.append(("array_partition", dim))

    def dataflow(self, function):
        self.asked.append(("dataflow", function))

    def build(self, target="llvm", mode=None, project=None, configs=None):
        if FAULT == "exit":
            print("Traceback (most recent call last):\nTypeError: int16 and int8 do not match")
            sys.exit(1)
        if FAULT == "abort":
            os.abort()
        return Built(self, target, mode, project)


class Built:
    def __init__(self, schedule, target, mode, project):
        self.text, self.mode, self.project = Path(schedule.path).read_text(), mode, project
        asked = [] if FAULT == "bare" else schedule.asked
        self.hls_code = written(self.text, asked) if target == "vhls" else ""
        if project:
            Path(project).mkdir()
            Path(project, "run.tcl").write_text("set_part {xcu250-figd2104-2L-e}\n")

    def __call__(self, *arguments):
        if self.mode == "csyn":
            report = Path(self.project, "out.prj/solution1/syn/report/csynth.xml")
            report.parent.mkdir(parents=True)
            report.write_text(
                os.environ["FAKE_REPORT"].replace("PART", Path(self.project, "run.tcl").read_text())
            )
            return
        machine = _Machine()
        arrays = []
        for values in arguments:
            array = Array(machine, values.dtype.itemsize * 8, values.shape, 1)
            array.values[..., 0] = values
            arrays.append(array)
        machine.load(self.text)["top"](*arrays)
        arguments[-1][...] = arrays[-1].values[..., 0] + (FAULT == "wrong")


def written(text, asked):
    """The functions as C++; pragmas stand where no compiler minds them."""
    tree = ast.parse(text)
    constants = {}
    arrays = [n for n in tree.body if isinstance(n, ast.Assign) and n.targets[0].id.endswith("_codes")]
    exec(compile(ast.Module(arrays, []), "", "exec"), {"np": np}, constants)
    lines = [f"#include <{header}.h>" for header in HEADERS]
    lines.append('static_assert(sizeof(ap_int<33>) == 8, "");')
    for function in (n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name != "schedule"):
        arguments = ", ".join(declared(a.annotation, a.arg) for a in function.args.args)
        lines += [f"void {function.name}({arguments}) {{", *block(function.body, constants), "}"]
    return "\n".join([*lines, *(f"#pragma HLS {kind}" for kind, _ in asked)])


def declared(annotation, name):
    kind = annotation.value if isinstance(annotation, ast.Subscript) else annotation
    sizes = ast.unparse(annotation.slice) if isinstance(annotation, ast.Subscript) else ""
    return f"{kind.id}_t {name}{brackets(sizes)}"


def brackets(places):
    return "".join(f"[{place.strip(' ()')}]" for place in places.split(",") if place.strip(" ()"))


def block(statements, constants):
    return [line for statement in statements for line in statement_of(statement, constants)]


def statement_of(node, constants):
    if isinstance(node, ast.For):
        name, stop = node.target.id, node.iter.args[0].value
        return [f"for (int {name} = 0; {name} < {stop}; ++{name}) {{", *block(node.body, constants), "}"]
    if isinstance(node, ast.AnnAssign):
        left = declared(node.annotation, node.target.id)
        if node.value is None:
            return [f"{left};"]
        if isinstance(node.value, ast.Name) and node.value.id in constants:
            numbers = ", ".join(map(str, constants[node.value.id].ravel().tolist()))
            return [f"static const {left} = {{{numbers}}};"]
        return [f"{left} = {expression(node.value)};"]
    if isinstance(node, ast.AugAssign):
        return [f"{expression(node.target)} += {expression(node.value)};"]
    if isinstance(node, ast.Assign):
        return [f"{expression(node.targets[0])} = {expression(node.value)};"]
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return []
    return [f"{ast.unparse(node)};"]


def expression(node):
    if isinstance(node, ast.IfExp):
        return f"({expression(node.test)} ? {expression(node.body)} : {expression(node.orelse)})"
    if isinstance(node, ast.Subscript):
        places = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        return f"{node.value.id}{''.join(f'[{expression(place)}]' for place in places)}"
    if isinstance(node, ast.BinOp):
        sign = {
            "Add": "+",
            "Sub": "-",
            "Mult": "*",
            "LShift": "<<",
            "RShift": ">>",
            "FloorDiv": "/",
            "Mod": "%",
        }
        left, right = expression(node.left), expression(node.right)
        if isinstance(node.op, ast.Add | ast.Sub | ast.Mult):  # as in Allo, wider than both
            left, right = f"std::int64_t({left})", f"std::int64_t({right})"
        return f"({left} {sign[type(node.op).__name__]} {right})"
    if isinstance(node, ast.Compare):
        sign = ">" if isinstance(node.ops[0], ast.Gt) else "<"
        return f"({expression(node.left)} {sign} {expression(node.comparators[0])})"
    return ast.unparse(node)
