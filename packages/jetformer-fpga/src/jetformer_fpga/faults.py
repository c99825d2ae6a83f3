"""Planted faults: mistakes of the kinds that are made, to see that verification catches each of them.

Those in the network are mistakes of whoever writes a translation: the circuit is then a faithful circuit of a wrong network.
Those in the Verilog are mistakes of a printer, a tool or a hand.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from .errors import FpgaError
from .fixed_point import Format
from .interval import Interval
from .network import Network
from .nodes import Node, constant, quantised
from .ports import CORE, TOP
from .state import FixedTensor

Change = Callable[[Node], Node | None]


def wrong_network(network: Network, fault: str) -> Network:
    """The network with one fault of `IN_NETWORK`, in the first place where there can be one."""
    made: dict[int, Node] = {}
    planted = False
    for node in network.nodes():
        sources = tuple(made[id(source)] for source in node.sources)
        rebuilt = Node(node.op, node.interval, sources, node.layer, node.attributes) if sources else node
        changed = None if planted else IN_NETWORK[fault](rebuilt)
        planted = planted or changed is not None
        made[id(node)] = changed or rebuilt
    if not planted:
        raise FpgaError(f"fault '{fault}': this network has no place for it.")
    return Network(*(made[id(node)] for node in (network.features, network.mask, network.logits)))


def _keeping(node: Node, changed: Node) -> Node:
    changed.layer = node.layer
    return changed


def _drop(node: Node) -> bool:
    """Whether a quantiser of computed numbers rounds."""
    if node.op != "quantise" or node.sources[0].op not in ("linear", "total", "add"):
        return False
    return bool((node.sources[0].interval.fraction > node.attributes["format"].f).all())


def _truncated(node: Node) -> Node | None:
    """Rounds down instead of half up: half a step is taken off before."""
    if not _drop(node):
        return None
    fmt, x = node.attributes["format"], node.sources[0]
    half = FixedTensor(np.full(x.shape, -1), Format(np.ones_like(fmt.f), fmt.i, fmt.f + 1))
    return _keeping(node, quantised(x + constant(half), fmt))


def _not_saturated(node: Node) -> Node | None:
    if not _drop(node):
        return None
    fmt = node.attributes["format"]
    return _keeping(node, quantised(node.sources[0], Format(fmt.k, fmt.i + 4, fmt.f)))


def _wrong_entry(node: Node) -> Node | None:
    """One entry of one table, in its first place."""
    if node.op != "table" or any(len(entries) < 2 for entries in node.attributes["entries"]):
        return None
    entries = [e.copy() for e in node.attributes["entries"]]
    for e in entries:
        e[0] = e[0] - 1 if e[0] else 1
    low = np.minimum(node.interval.low, np.array([e.min() for e in entries]).reshape(node.shape))
    high = np.maximum(node.interval.high, np.array([e.max() for e in entries]).reshape(node.shape))
    interval = Interval(low, high, node.interval.fraction)
    return Node("table", interval, node.sources, node.layer, {"entries": entries})


def _swapped(node: Node) -> Node | None:
    """Heads in the wrong order: the first axis of a transpose to `[heads, tokens, width]`."""
    if node.op != "rearrange" or len(node.shape) != 3 or node.shape[0] < 2 or "value" not in node.layer:
        return None
    return _keeping(node, node[::-1])


def _no_mask(node: Node) -> Node | None:
    return _keeping(node, node.sources[0][...]) if node.op == "gate" else None


def _wrong_weight(node: Node) -> Node | None:
    """The first weight is one step off."""
    if node.op != "linear":
        return None
    weight = node.attributes["weight"]
    codes = weight.codes.copy()
    codes[0, 0] += 1
    attributes = node.attributes | {"weight": replace(weight, codes=codes)}
    return Node("linear", _wider(node.interval), node.sources, node.layer, attributes)


def _no_bias(node: Node) -> Node | None:
    if node.op != "linear" or node.attributes["bias"] is None or not node.attributes["bias"].codes.any():
        return None
    return Node("linear", _wider(node.interval), node.sources, node.layer, node.attributes | {"bias": None})


def _no_residual(node: Node) -> Node | None:
    if node.op != "add" or "constant" in {source.op for source in node.sources}:
        return None
    other = node.sources[1]
    return _keeping(node, other[...]) if other.op == "linear" and other.shape == node.shape else None


def _wider(i: Interval) -> Interval:
    """With room for what a fault adds."""
    reach = np.maximum(np.abs(i.low), np.abs(i.high)) * 2 + 1
    return Interval(-reach, reach, i.fraction)


IN_NETWORK: dict[str, Change] = {
    "rounds down": _truncated,
    "does not saturate": _not_saturated,
    "a wrong entry of a table": _wrong_entry,
    "swapped heads": _swapped,
    "a mask left out": _no_mask,
    "a weight one step off": _wrong_weight,
    "a bias left out": _no_bias,
    "a residual connection left out": _no_residual,
}


def break_verilog(folder: Path, fault: str) -> str:
    """Plant one fault of `IN_VERILOG` in the Verilog files of a folder; returns the name of the file that changed."""
    pattern, edit = IN_VERILOG[fault]
    for path in sorted(folder.glob(pattern)):
        text = path.read_text()
        changed = edit(text)
        if changed != text:
            path.write_text(changed)
            return path.name
    raise FpgaError(f"fault '{fault}': this circuit has no place for it.")


def _edit(pattern: str, by: str) -> Callable[[str], str]:
    return lambda text: re.sub(pattern, by, text, count=1)


def _no_register(text: str) -> str:
    """The widest value of a stage reaches the next without its register."""
    found = max(re.findall(r"output reg \[(\d+):0\] (q\d+)", text), key=lambda f: int(f[0]), default=None)
    if found is None:
        return text
    name = found[1]
    text = text.replace(f"output reg [{found[0]}:0] {name}", f"output wire [{found[0]}:0] {name}")
    text = text.replace(f"        {name} <= v{name[1:]};\n", "")
    return text.replace("    always @", f"    assign {name} = v{name[1:]};\n    always @", 1)


IN_VERILOG: dict[str, tuple[str, Callable[[str], str]]] = {
    "an entry of a memory": (f"{CORE}_tables.v", _edit(r"'h(\d+): out = (\d+)'h0+;", r"'h\1: out = \2'h1;")),
    "an input read twice": (f"{TOP}.v", lambda text: text.replace("features[5:0]", "features[11:6]")),
    "a pipeline register left out": (f"{CORE}_stage1.v", _no_register),
    "minus instead of plus": (
        f"{CORE}_stage*.v", _edit(r"(shift_adder #\(\d+,\d+,1,1,[^)]*),0\)", r"\1,1)")
    ),
    "valid_out always up": (f"{TOP}.v", _edit(r"valid\[(\d+):0\], valid_in", r"valid[\1:0], 1'b1")),
    "valid_out a cycle early": (
        f"{TOP}.v", lambda t: re.sub(r"valid\[(\d+)\];", lambda m: f"valid[{int(m[1]) - 1}];", t, count=1)
    ),
    "reset ignored": (f"{TOP}.v", _edit(r"rst \?", "1'b0 ?")),
}  # fmt: skip
