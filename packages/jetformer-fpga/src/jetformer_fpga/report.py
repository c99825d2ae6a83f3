"""One HTML page and one JSON file about a firmware project: what it is, how fast, how large, how far it is proven.

Every figure says where it comes from; what was not measured is said to be so.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from . import csynth, drawing, layers, project, reference, resources, routing, simulation, vectors
from .errors import FpgaError
from .layers import Layer

Progress = Callable[[int, int], None]
STYLE = """body{font:15px/1.5 sans-serif;max-width:75em;margin:2em auto;padding:0 1em;color:#222}
table{border-collapse:collapse;margin:1em 0}td,th{border:1px solid #ccc;padding:.25em .6em;text-align:left}
th{background:#f4f0ea}.wide{overflow:auto;border:1px solid #ccc}h2{margin-top:2em}"""


def collect(folder: str | Path, progress: Progress = lambda done, total: None) -> dict[str, Any]:
    """All that is known of a project, as JSON. `verification` and `waveform` are None where `verify` has not run, `vivado`
    and `hls` where `route` and `csynth` have not run on these very files."""
    loaded = project.load(folder)
    verdict = loaded.folder / "verification.json"
    found = layers.layers_of(loaded.state, project.TABLE_BITS, progress)
    return {
        "project": {key: value for key, value in loaded.description.items() if key != "files"},
        "verification": json.loads(verdict.read_text()) if verdict.is_file() else None,
        "vivado": routing.known(loaded),
        "hls": csynth.known(loaded),
        "changed_files": loaded.changed_files(),
        "layers": [layer.as_json() for layer in found],
        "ports": loaded.ports.as_json(),
        "waveform": waveform(loaded),
    }


def waveform(loaded: project.Project) -> dict[str, Any] | None:
    """One jet passing: flags and logits (codes) in each clock cycle, from the circuit that `verify` compiled."""
    executable = loaded.folder / "simulation" / "testbench"
    if not executable.is_file():
        return None
    corner = vectors.corners(loaded.state)
    latency = int(loaded.description["latency_cycles"])
    control = np.zeros(latency + 6, dtype=np.uint32)
    control[2] = simulation.VALID
    rows = np.where(control == simulation.VALID, 2, 0)
    with tempfile.TemporaryDirectory() as work:
        features = corner.x.reshape(len(corner), -1)[rows]
        valid, codes = simulation.play(
            executable, loaded.ports, control, features, corner.mask[rows], Path(work)
        )
    expected = reference.logits(loaded.state, corner.x[2:3], corner.mask[2:3])[0]
    return {
        "input": corner.names[2],
        "valid_in": (control == simulation.VALID).astype(int).tolist(),
        "valid_out": valid.astype(int).tolist(),
        "logits": codes.tolist(),
        "expected": expected.tolist(),
    }


def write(
    folder: str | Path, out: str | Path, progress: Progress = lambda done, total: None
) -> dict[str, Any]:
    """The page `out` (.html) and the same as JSON beside it. Raises FpgaError."""
    out = Path(out)
    if out.suffix != ".html":
        raise FpgaError(f"{out}: expected a file name that ends in .html")
    about = collect(folder, progress)
    try:
        for path, text in ((out.with_suffix(".json"), json.dumps(about, indent=1)), (out, page(about))):
            partial = path.with_name(f".{path.name}.partial")
            partial.write_text(text)
            os.replace(partial, path)
    except OSError as error:
        raise FpgaError(f"{out}: can't be written ({error.strerror}).") from error
    return about


def page(about: dict[str, Any]) -> str:
    made, found = about["project"], [_layer(entry) for entry in about["layers"]]
    sections = [
        ("Design", _table(("quantity", "value", "source"), _design(made) + _by_vendor(about))),
        ("Verification", _verification(about["verification"], about["changed_files"])),
        ("One jet passing", _waves(about["waveform"])),
        ("Layers", _layer_table(found)),
        ("Network", f'<div class="wide">{drawing.svg(found, "bit widths and estimated LUT")}</div>'),
        ("Ports", _ports(about["ports"])),
        ("Versions", _table(("what", "version"), sorted(made["versions"].items()))),
    ]
    name = escape(str((made.get("architecture") or {}).get("name", "network")))
    body = "".join(f"<h2>{title}</h2>{text}" for title, text in sections)
    head = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Firmware report</title><style>{STYLE}</style>'
    return f"{head}<h1>Firmware report: {name}</h1>{body}</html>\n"


def _layer(entry: dict[str, Any]) -> Layer:
    shapes = {key: tuple(entry[key]) for key in ("of", "shape", "bits")}
    return Layer(**entry | shapes)


def _table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    head = "".join(f"<th>{escape(column)}</th>" for column in columns)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f"<table><tr>{head}</tr>{body}</table>"


def _design(made: dict[str, Any]) -> list[tuple[str, str, str]]:
    clock = f"at an assumed clock of {made['assumed_clock_mhz']:g} MHz, neither placed nor routed"
    stages = f"{made['stages']} stages of at most {made['stage_delay']:g} {made['stage_delay_unit']}"
    rows = [
        ("latency", f"{made['latency_cycles']} cycles", stages),
        ("latency", f"{made['latency_ns']:.0f} ns", clock),
        ("initiation interval", f"{made['initiation_interval']} cycle", "a register row after every stage"),
    ]
    counts = made.get("resources")
    if not counts:
        return [*rows, ("LUT, FF, DSP, BRAM", "not measured", "`synth` ran without --resources")]
    for key in ("lut", "ff", "dsp", "bram"):
        share = resources.with_share(counts, key, counts["part"])
        rows.append((key.upper(), share, counts["resource_source"]))
    for place, there in counts.get("multipliers_in", {}).items():
        told = f"LUT {there['lut']:,}, DSP {there['dsp']:,}"
        rows.append((f"multipliers in {place.upper()}", told, "the same"))
    return rows


def _by_vendor(about: dict[str, Any]) -> list[tuple[str, str, str]]:
    """What Vivado and Vitis HLS found, or that they were not asked."""
    routed, synthesised = about["vivado"], about["hls"]
    absent = (
        ("post-route", "not routed", "`jetformer-fpga route` asks Vivado"),
        ("HLS", "not synthesised", "`jetformer-fpga csynth` asks Vitis HLS"),
    )
    return [
        *(routing.rows(routed) if routed else absent[:1]),
        *(csynth.rows(synthesised) if synthesised else absent[1:]),
    ]


def _verification(found: dict[str, Any] | None, changed: list[str]) -> str:
    if found is None:
        return "<p>Not verified yet: run <code>jetformer-fpga verify</code>.</p>"
    words = "equal in every bit" if found["passed"] else "NOT passed"
    rows = [
        (leg["name"], f"{leg['compared']:,}", f"{leg['mismatches']:,}", _where(leg)) for leg in found["legs"]
    ]
    told = f"{found['verified_jets']:,} jets and {found['corner_vectors']} corner vectors: {words}."
    if found["accuracy"] is not None:
        told += f" Accuracy of the circuit: {found['accuracy']:.2%} of these jets (split: {found['split']})."
    timing = (
        f"Latency {found['latency_cycles']} cycles by valid_out, {found['latency_by_answers']} by the answers; "
        f"initiation interval {found['initiation_interval']}; "
        f"{found['valid_faults']} faults of valid_out with gaps and resets."
    )
    notes = f"PyTorch: {found['pytorch']}. Icarus Verilog: {found['icarus']}." + (
        f" Changed since synth: {', '.join(changed)}." if changed else ""
    )
    table = _table(("leg", "compared", "mismatches", "first mismatch"), rows)
    return f"<p>{escape(told)}</p>{table}<p>{escape(timing)}</p><p>{escape(notes)}</p>"


def _where(leg: dict[str, Any]) -> str:
    return "; ".join(words for words in (leg["first_mismatch"], leg["first_layer"]) if words) or "none"


def _waves(found: dict[str, Any] | None) -> str:
    """Flags as lines, logits as boxes; what leaves with valid_out is marked."""
    if found is None:
        return "<p>Not simulated yet: run <code>jetformer-fpga verify</code>.</p>"
    cycles, step, left = len(found["valid_in"]), 34, 90
    body = [
        _flag(found[name], name, 20 + 40 * n, left, step) for n, name in enumerate(("valid_in", "valid_out"))
    ]
    for n in range(len(found["expected"])):
        y = 104 + 26 * n
        body.append(f'<text x="0" y="{y + 15}">logit {n}</text>')
        codes = [row[n] for row in found["logits"]]
        starts = [c for c in range(cycles) if c == 0 or codes[c] != codes[c - 1]]
        for start, stop in zip(starts, [*starts[1:], cycles], strict=True):
            real = any(found["valid_out"][start:stop])
            fill, x = "#f9d9a8" if real else "#eee", left + start * step
            body.append(
                f'<rect x="{x}" y="{y}" width="{(stop - start) * step}" height="20" fill="{fill}" stroke="#888"/>'
            )
            body.append(f'<text x="{x + 3}" y="{y + 15}">{codes[start]}</text>')
    width, height = left + cycles * step + 10, 110 + 26 * len(found["expected"])
    told = f"{found['input']}; the codes that leave with valid_out are {found['expected']} in the reference."
    size = f'width="{width}" height="{height}"'
    picture = f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-size="12">{"".join(body)}</svg>'
    return f'<p>{escape(told)}</p><div class="wide">{picture}</div>'


def _flag(values: list[int], name: str, y: int, left: int, step: int) -> str:
    points = " ".join(
        f"{left + (cycle + end) * step},{y + 20 - 18 * value}"
        for cycle, value in enumerate(values)
        for end in (0, 1)
    )
    line = f'<polyline points="{points}" fill="none" stroke="#205" stroke-width="1.5"/>'
    return f'<text x="0" y="{y + 15}">{name}</text>{line}'


def _layer_table(found: list[Layer]) -> str:
    whole = sum(layer.lut for layer in found) or 1
    costly = sorted((layer for layer in found if layer.lut), key=lambda layer: -layer.lut)
    rows = [
        (layer.name, layer.op, " x ".join(map(str, layer.shape)), "-".join(map(str, dict.fromkeys(layer.bits))),
         f"{layer.lut:,}", f"{layer.lut / whole:.1%}", layer.multipliers)
        for layer in costly
    ]  # fmt: skip
    columns = (
        "layer",
        "operation",
        "shape",
        "bits",
        "LUT (tracer's estimate, alone)",
        "share",
        "multipliers",
    )
    return "<p>The costliest first: these are what to shrink.</p>" + _table(columns, rows)


def _ports(ports: dict[str, Any]) -> str:
    rows = [
        (name, f"{field['high_bit']}:{field['low_bit']}", field["name"], tuple(field["kif"]))
        for name, port in ports.items()
        for field in port["fields"]
    ]
    return f"<details><summary>{len(rows)} fields</summary>{_table(('port', 'bits', 'field', '(k, i, f)'), rows)}</details>"
