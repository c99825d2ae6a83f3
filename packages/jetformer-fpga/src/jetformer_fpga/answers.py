"""What leaves the circuit: logits, the class index, or log-probabilities.

The last two are a few more operations behind the network's logits, of the same kinds as all others, so that every leg of the
verification computes them too and they are exact in the same sense. With logits `z_j` on their grids:

    argmax             n_j = (max z - z_j > 0), one bit;  index = n_0 + n_0 n_1 + n_0 n_1 n_2 + ...   (C - 1 terms)
    log-probabilities  d_j = max z - z_j;  s = Q[sum](sum_j exp[Q[exponent](d_j)]);  out_j = Q(-d_j - log[s])

The index counts the classes before the first that is greatest, so of equal logits the lowest index wins.
`exp` and `log` are tables (formats below): a log-probability lies within 0.03 of the exact one of these logits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import reference
from .errors import FpgaError
from .fixed_point import Codes, Format, quantise, quantise_real
from .graph import Operation, checked
from .state import FixedTensor, State

RAW = "network.logits"
EXPONENT, EXP, SUM_FRACTION, LOG, FRACTION = (0, 4, 6), (0, 1, 11), 7, (0, 3, 9), 8


def answering(state: State, output: str) -> State:
    """The state whose operation "logits" gives `output`, of `OUTPUTS`. Raises FpgaError for an unknown one."""
    if output not in OUTPUTS:
        raise FpgaError(f"output '{output}': expected one of {', '.join(OUTPUTS)}.")
    if output == "logits":
        return state
    behind = _Behind(state)
    OUTPUTS[output](behind)
    return replace(
        state,
        graph=tuple(behind.made.values()),
        tensors=behind.tensors,
        formats=behind.formats,
        output=output,
    )


def of_logits(plain: State, answers: State, codes: Codes) -> Codes:
    """Codes `[jets, outputs]` of what the circuit answers where the network's logits are `codes` `[jets, C]`."""
    if answers.output == "logits":
        return codes
    found = {RAW: reference.exact(codes, plain.formats["logits"])}
    for operation in answers.graph[len(plain.graph) :]:
        sources = [found[name] for name in operation.of]
        found[operation.name] = reference.OPERATIONS[operation.op](answers, operation, *sources)
    last = found["logits"]
    return np.broadcast_to(quantise(last.n, last.f, answers.formats["logits"]), (len(codes), answers.outputs))


def classes(state: State, codes: Codes) -> NDArray[np.int64]:
    """The class `[jets]` that answers `[jets, outputs]` name; of equal ones the first."""
    values = state.formats["logits"].value(codes)
    return values[:, 0].astype(np.int64) if state.output == "argmax" else np.argmax(values, axis=1)


def names(state: State) -> tuple[str, list[str]]:
    """The name of the port, and of the numbers in it."""
    if state.output == "argmax":
        return "class_index", ["index of the class"]
    kind = {"logits": "logit", "log-probabilities": "log-probability"}[state.output]
    return state.output.replace("-", "_"), [f"{kind} {name}" for name in state.class_names]


class _Behind:
    """Adds operations behind the logits, which get another name."""

    def __init__(self, state: State) -> None:
        self.classes, self.tensors, self.formats = (
            len(state.class_names),
            dict(state.tensors),
            dict(state.formats),
        )
        self.formats[RAW] = self.logits = self.formats.pop("logits")
        self.made: dict[str, Operation] = {}
        for operation in state.graph:
            name = RAW if operation.name == "logits" else operation.name
            self.made[name] = replace(operation, name=name)
        self.op("maximum", "answer.greatest", RAW, axis=0, keep=True)
        self.op("subtract", "answer.distance", "answer.greatest", RAW)

    def op(self, op: str, name: str, *of: str, **attributes: Any) -> str:
        self.made[name] = checked({"op": op, "name": name, "of": list(of)} | attributes, self.made)
        return name

    def quantise(self, name: str, x: str, kif: tuple[int, int, int]) -> str:
        self.formats[name] = Format.of(kif)
        return self.op("quantise", name, x)

    def table(
        self, name: str, x: str, values: Callable[[NDArray[Any]], Any], kif: tuple[int, int, int]
    ) -> str:
        fmt, address = Format.of(kif), self.formats[x]
        codes = quantise_real(values(address.value(np.arange(int(address.high) + 1))), fmt)
        self.formats[name], self.tensors[f"{name}.entries"] = fmt, FixedTensor(codes, fmt)
        return self.op("table", name, x)


def _argmax(b: _Behind) -> None:
    """One bit of the logits' finest grid tells whether a distance is 0, since it saturates."""
    finest = int(b.logits.f.max())
    less = b.quantise("answer.less", "answer.distance", (0, 1 - finest, finest))
    flags = b.table("answer.flags", less, np.sign, (0, 1, 0))
    ahead = b.op("slice", "answer.flag_0", flags, axis=0, start=0, stop=1)
    count = ahead
    for j in range(1, b.classes - 1):
        flag = b.op("slice", f"answer.flag_{j}", flags, axis=0, start=j, stop=j + 1)
        ahead = b.op("gate", f"answer.ahead_{j}", ahead, flag)
        count = b.op("add", f"answer.count_{j}", count, ahead)
    b.quantise("logits", count, (0, max((b.classes - 1).bit_length(), 1), 0))


def _log_probabilities(b: _Behind) -> None:
    exponent = b.quantise("answer.exponent", "answer.distance", EXPONENT)
    e = b.table("answer.exp", exponent, lambda x: np.exp(-x), EXP)
    total = b.op("sum", "answer.total", e, axis=0, keep=True)
    s = b.quantise("answer.sum", total, (0, b.classes.bit_length(), SUM_FRACTION))
    log = b.table("answer.log", s, lambda x: np.log(np.maximum(x, 1)), LOG)
    below = b.op("subtract", "answer.below", RAW, "answer.greatest")
    integers = int(b.logits.i.max()) + 2
    b.quantise("logits", b.op("subtract", "answer.exact", below, log), (1, integers, FRACTION))


OUTPUTS: dict[str, Callable[[_Behind], None]] = {
    "logits": lambda b: None,
    "argmax": _argmax,
    "log-probabilities": _log_probabilities,
}
