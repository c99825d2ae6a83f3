"""What the circuit takes of the chip, from Yosys, quickly.

A whole network flat is more than Yosys does in reasonable time, but its operations repeat: some thousand distinct adders,
multipliers, multiplexers and tables make tens of thousands. Each distinct one is synthesised once, a hundred at a time as
unconnected islands of one netlist, counted island by island, multiplied by how often it occurs, and kept in a cache that all
designs share. Registers are the pipeline's own, counted exactly. What the sum leaves out: logic that synthesis could
still merge across operations (the sum is above) and routing.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import tools, tracer
from .errors import FpgaError

# UltraScale+; `bram` in blocks of 18 kbit. (Product tables DS890, DS962.)
PARTS = {
    "xcvu13p": {"lut": 1_728_000, "ff": 3_456_000, "dsp": 12_288, "bram": 5_376},
    "xcvu9p": {"lut": 1_182_240, "ff": 2_364_480, "dsp": 6_840, "bram": 4_320},
    "xczu7ev": {"lut": 230_400, "ff": 460_800, "dsp": 1_728, "bram": 624},
    "xcku5p": {"lut": 216_960, "ff": 433_920, "dsp": 1_824, "bram": 960},
}
SCRIPT = "synth_xilinx -family xcup -noiopad -noclkbuf -flatten -top top"
# Where products of signals go; options of Yosys. `auto` leaves it to the tool (Yosys takes a DSP for each).
MULTIPLIERS = {"auto": "", "dsp": "", "lut": " -nodsp"}
BATCH = 150
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Resources:
    """Counts, their share of the part, and where they come from. `bram` counts 18-kbit blocks.

    `choices`: LUT and DSP with multipliers in LUT ("lut") and in DSP ("dsp").
    """

    lut: int
    ff: int
    dsp: int
    bram: int
    part: str
    source: str
    choices: dict[str, dict[str, int]] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        counts = {"lut": self.lut, "ff": self.ff, "dsp": self.dsp, "bram": self.bram}
        shares = {name: count / PARTS[self.part][name] for name, count in counts.items()}
        about = {"part": self.part, "resource_source": self.source, "multipliers_in": self.choices}
        return counts | {"share": shares} | about


def with_share(counts: dict[str, Any], name: str, part: str) -> str:
    """A count of `Resources.as_json` or of a vendor's report, and its share of the part, for people."""
    return f"{counts[name]:,} ({counts['share'][name]:.1%} of {part})"


def measure(
    line: tracer.Pipeline,
    part: str,
    valid_bits: int,
    progress: Progress = lambda done, total: None,
    multipliers: str = "auto",
) -> Resources:
    """From Yosys where there is one, else the tracer's own estimate, each labelled. `multipliers`: of `MULTIPLIERS`."""
    check_part(part)
    registers = line.register_bits + valid_bits
    yosys = tools.yosys()
    if yosys is None:
        return _estimate(line, registers, part, multipliers)
    counted = tracer.operations(line)
    products = [text for text in counted if _multiplies(text)]
    found = synthesise([text for text in counted if not _multiplies(text)], yosys, progress)
    rest, both = _sum(found, counted), {}
    for choice in ("lut", "dsp"):
        both[choice] = rest + _sum(synthesise(products, yosys, progress, MULTIPLIERS[choice]), counted)
    cells = both["lut" if multipliers == "lut" else "dsp"]
    source = (
        f"{yosys.source}, `synth_xilinx -family xcup{MULTIPLIERS[multipliers]}`: "
        f"{len(counted)} distinct operations synthesised alone, "
        f"multiplied by their {sum(counted.values())} instances; registers counted before shift-register extraction; "
        "not placed, not routed"
    )
    choices = {choice: {"lut": c["lut"], "dsp": c["dsp"]} for choice, c in both.items()}
    return Resources(cells["lut"], registers, cells["dsp"], cells["bram"], part, source, choices)


def _multiplies(module: str) -> bool:
    return "multiplier" in module


def _sum(cells: dict[str, Counter[str]], counted: Counter[str]) -> Counter[str]:
    """Cells of each module times its instances."""
    total = Counter[str]()
    for text, found in cells.items():
        total.update({kind: number * counted[text] for kind, number in found.items()})
    return total


def _estimate(line: tracer.Pipeline, registers: int, part: str, multipliers: str) -> Resources:
    """The tracer's cost model, which counts in LUT; multipliers in DSP are taken out of it and counted, one each."""
    products = [op for op in line.program.ops if op.opcode == tracer.MULTIPLY]
    whole = line.program.cost
    choices = {
        "lut": {"lut": round(whole), "dsp": 0},
        "dsp": {"lut": round(whole - sum(op.cost for op in products)), "dsp": len(products)},
    }
    chosen = choices["dsp" if multipliers == "dsp" else "lut"]
    source = (
        f"estimate of the tracer {tracer.version()} (its cost model in LUT, {len(products) - chosen['dsp']} multipliers in "
        "LUT); no Yosys was found; registers counted before shift-register extraction"
    )
    return Resources(chosen["lut"], registers, chosen["dsp"], 0, part, source, choices)


def check_multipliers(multipliers: str) -> None:
    if multipliers not in MULTIPLIERS:
        raise FpgaError(f"multipliers '{multipliers}': expected one of {', '.join(MULTIPLIERS)}.")


def check_part(part: str) -> None:
    if part not in PARTS:
        raise FpgaError(f"part '{part}' is not known; expected one of {', '.join(PARTS)}.")


def synthesise(
    modules: list[str],
    yosys: tools.Tool,
    progress: Progress = lambda done, total: None,
    options: str = "",
) -> dict[str, Counter[str]]:
    """Cells of each module (its text calls it MODULE): from the cache, else from Yosys on all cores."""
    folder = tools.cache_folder("yosys")
    context = hashlib.sha256(
        "".join([yosys.version, SCRIPT, options, *tracer.library().values()]).encode()
    ).hexdigest()
    places = {
        text: folder / f"{hashlib.sha256((context + text).encode()).hexdigest()}.json" for text in modules
    }
    known = {
        text: Counter(json.loads(place.read_text())) for text, place in places.items() if place.is_file()
    }
    missing = [text for text in modules if text not in known]
    progress(len(known), len(modules))
    batches = [missing[start : start + BATCH] for start in range(0, len(missing), BATCH)]
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for future in as_completed([pool.submit(_batch, batch, yosys, options) for batch in batches]):
            for text, cells in future.result().items():
                known[text] = cells
                _store(places[text], cells)
            progress(len(known), len(modules))
    return known


def _store(place: Path, cells: Counter[str]) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=place.parent, delete=False) as file:
        json.dump(cells, file)
    os.replace(file.name, place)


def _batch(modules: list[str], yosys: tools.Tool, options: str) -> dict[str, Counter[str]]:
    """One run of Yosys: every module is an island with ports of its own."""
    tables: dict[str, str] = {}
    bodies, ports, instances = [], [], []
    for number, text in enumerate(modules):
        for part in re.split(r"(?=^module )", text, flags=re.MULTILINE):
            if part.startswith("module table_"):
                tables[part.split("(")[0]] = part
            elif part.startswith("module MODULE"):
                bodies.append(part.replace("module MODULE", f"module island{number}", 1))
        widths = re.search(r"input \[(\d+):0\] model_inp,\s*output \[(\d+):0\] model_out", text)
        assert widths is not None, text
        ports += [f"input [{widths[1]}:0] i{number}", f"output [{widths[2]}:0] o{number}"]
        instances.append(f"island{number} u{number} (.model_inp(i{number}), .model_out(o{number}));")
    top = [f"module top ({', '.join(ports)});", *instances, "endmodule"]
    netlist = run(yosys, "\n".join([*tracer.library().values(), *tables.values(), *bodies, *top]), options)
    cells = islands(netlist)
    return {text: cells[number] for number, text in enumerate(modules)}


def run(yosys: tools.Tool, verilog: str, options: str = "") -> dict[str, Any]:
    """The netlist of the module `top`."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "top.v").write_text(verilog)
        (folder / "run.ys").write_text(f"read_verilog top.v\n{SCRIPT}{options}\nwrite_json top.json\n")
        yosys.run("-q", "run.ys", cwd=folder)
        return dict(json.loads((folder / "top.json").read_text())["modules"]["top"])


def count(cells: Iterable[dict[str, Any]]) -> Counter[str]:
    """LUT, DSP and block RAM of cells. The select inputs of a carry chain are reached only through LUTs, so a bit that
    comes from elsewhere costs one; inverters vanish in the LUT that reads them."""
    cells = list(cells)
    from_lut = {bit for cell in cells if cell["type"].startswith("LUT") for bit in cell["connections"]["O"]}
    found = Counter[str](lut=0, dsp=0, bram=0)
    for cell in cells:
        kind = cell["type"]
        found["lut"] += kind.startswith("LUT")
        found["dsp"] += kind.startswith("DSP")
        found["bram"] += {"RAMB18E2": 1, "RAMB36E2": 2}.get(kind, 0)
        if kind.startswith("CARRY"):
            selects = [bit for bit in cell["connections"]["S"] if isinstance(bit, int)]
            found["lut"] += sum(bit not in from_lut for bit in selects)
    return found


def islands(netlist: dict[str, Any]) -> dict[int, Counter[str]]:
    """Cells by island: nets that a cell joins belong together, and every island has ports."""
    parent: dict[Any, Any] = {}

    def root(net: Any) -> Any:
        while parent.setdefault(net, net) != net:
            parent[net] = parent[parent[net]]
            net = parent[net]
        return net

    numbers = {int(name[1:]) for name in netlist["ports"]}
    for name, port in netlist["ports"].items():
        for bit in port["bits"]:
            if isinstance(bit, int):
                parent[root(bit)] = root(name[1:])
    members = {
        name: [b for bits in c["connections"].values() for b in bits if isinstance(b, int)]
        for name, c in netlist["cells"].items()
    }
    for nets in members.values():
        for net in nets[1:]:
            parent[root(net)] = root(nets[0])
    owner = {root(str(number)): number for number in numbers}
    groups: dict[int, list[dict[str, Any]]] = {number: [] for number in numbers}
    for name, nets in members.items():
        if not nets:  # newer ones note module boundaries as cells without wires
            continue
        groups[owner[root(nets[0])]].append(netlist["cells"][name])
    return {number: count(cells) for number, cells in groups.items()}
