"""One page for a group leader: the physics, the network, the circuit, the proof. It needs no file but itself."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from pathlib import Path
from string import Template

import figures
from results import RESOURCE_NAMES, Results

PAGE = Path(__file__).with_name("page.html")


def write_report(results: Results, path: Path) -> None:
    """Fill page.html with the figures, tables and sentences of one demo."""
    page = Template(PAGE.read_text()).substitute(
        lead=_lead(results),
        cards=_cards(results),
        jets=f"{len(results.jets.labels):,}",
        physics=PHYSICS,
        jet_distributions=figures.jet_distributions(results.distributions),
        jet_images=figures.jet_images(results.distributions),
        training=_training(results),
        training_curves=figures.training_curves(results),
        forms=_forms(results),
        accuracies=figures.accuracies(results),
        networks=_networks(results),
        roc_curves=figures.roc_curves(results),
        rejections=_rejections(results),
        circuit=CIRCUIT,
        timing=_timing(results),
        resources=_resources(results),
        resource_note=html.escape(f"Source: {results.resources['resource_source']}."),
        proof=_proof(results),
        verification=_verification(results),
        commands=_table(("step", "command", "s"), _commands(results), code=1),
        versions=html.escape(
            f"Seed {results.seed}. "
            + ", ".join(f"{name} {number}" for name, number in results.versions.items())
        ),
    )
    path.write_text(page)


def _lead(results: Results) -> str:
    cycles, accuracy = results.verification["latency_cycles"], 100 * results.networks["firmware"]["accuracy"]
    return (
        f"Simulated LHC collisions became {len(results.jets.labels):,} jets of five kinds. A Transformer of "
        f"{results.parameters:,} parameters learned to tell them apart, was halved, put into fixed point and turned into "
        f"a circuit that takes a new jet every clock cycle and answers after {cycles} cycles, with {accuracy:.1f} % of the "
        "test jets right."
    )


def _cards(results: Results) -> str:
    found, resources = results.verification, results.resources
    accuracy, clock = 100 * results.networks["firmware"]["accuracy"], f"{found['assumed_clock_mhz']:g} MHz"
    verdict = "good" if found["mismatches"] == 0 else "bad"
    cards = (
        ("", f"{accuracy:.1f} %", "accuracy of the firmware, five classes (chance 20 %)"),
        ("", f"{found['latency_ns']:.0f} ns", f"{found['latency_cycles']} cycles at an assumed {clock}"),
        ("", f"{found['initiation_interval']}", "clock cycle from jet to jet (initiation interval)"),
        (verdict, f"{found['mismatches']}", f"mismatches in {found['verified_jets']:,} jets"),
        ("", f"{100 * resources['share']['lut']:.1f} %", f"of the LUTs of an {resources['part']}"),
    )
    return "".join(
        f'<div class="card {kind}"><b>{html.escape(value)}</b><span>{html.escape(meaning)}</span></div>'
        for kind, value, meaning in cards
    )


PHYSICS = (
    "Proton-proton collisions at 13 TeV from Pythia 8 with gluons, light quarks, W, Z and top quarks of about 1 TeV, seen "
    "by a parametric detector and clustered by FastJet (anti-kT, R = 0.4, pt from 800 to 1600 GeV). "
    "The masses of W, Z and top stand out. Simulated, HLS4ML-like: accuracies on these jets are for comparison with each "
    "other, not with results on the public set."
)
CIRCUIT = (
    "The whole network is one pipeline: no loop, no memory access, no instruction. A product with a weight is a few shifts "
    "and sums (distributed arithmetic), the softmax is two small tables, and a constituent that is not there is never "
    "attended to."
)


def _training(results: Results) -> str:
    sizes = results.split_sizes
    return (
        f"{sizes['train']:,} jets train, {sizes['validation']:,} decide which epoch is kept, {sizes['test']:,} are the test "
        "that nothing was chosen on. The network sees pt, Δη and Δφ of the 8 leading constituents above 2 GeV. Pruning goes "
        "in five steps of up to five epochs, then norms are folded into matrices and training goes on in fixed point."
    )


def _forms(results: Results) -> str:
    lost = 100 * (results.networks["float"]["accuracy"] - results.networks["fixed_point"]["accuracy"])
    change = f"{lost:.2f} points below" if lost >= 0 else f"{-lost:.2f} points above"
    return (
        f"Pruning halves the FLOPs, fixed point replaces every number by a few bits; the test accuracy ends {change} that "
        "of the float network. The firmware's accuracy is counted from the answers of the simulated circuit."
    )


def _networks(results: Results) -> str:
    def row(name: str) -> list[str]:
        network = results.networks[name]
        flops = results.flops.get(name, results.flops["fixed_point"])
        auc = network["auc_macro"]
        return [
            figures.NAMES[name],
            f"{100 * network['accuracy']:.2f} ± {100 * network['accuracy_error']:.2f} %",
            f"{auc:.4f}",
            f"{flops:,}",
            f"{network['jets']:,}",
        ]

    return _table(("network", "test accuracy", "mean AUC", "FLOPs", "test jets"), map(row, results.networks))


def _rejections(results: Results) -> str:
    names = results.jets.class_names
    firmware = results.networks["firmware"]

    def row(name: str) -> list[str]:
        rejection = firmware["rejection"][name]
        return [
            name,
            f"{firmware['auc'][name]:.4f}",
            "no background left" if rejection is None else f"{rejection:.1f}",
        ]

    return _table(("class", "AUC", "rejection at 50 %"), map(row, names))


def _timing(results: Results) -> str:
    found = results.verification
    rows = [
        ("latency", f"{found['latency_cycles']} clock cycles", "measured in simulation"),
        ("initiation interval", f"{found['initiation_interval']} clock cycle", "measured in simulation"),
        (
            "latency in time",
            f"{found['latency_ns']:.0f} ns",
            f"{found['latency_cycles']} cycles at an assumed {found['assumed_clock_mhz']:g} MHz; not placed and routed",
        ),
    ]
    return _table(("", "value", "source"), rows, words=(0, 2))


def _resources(results: Results) -> str:
    resources = results.resources
    rows = [
        (
            name.upper(),
            f"{resources[name]:,}",
            f"{100 * resources['share'][name]:.2f} %",
            _bar(resources["share"][name]),
        )
        for name in RESOURCE_NAMES
    ]
    return _table(("resource", "used", f"share of an {resources['part']}", ""), rows, raw=3)


def _proof(results: Results) -> str:
    found = results.verification
    return (
        f"{found['verified_jets']:,} jets, the whole test split, and {found['corner_vectors']} corner vectors went through "
        "four independent forms of the network, and a new jet entered the simulated circuit in every clock cycle. "
        f"Answers that differ in any bit: {found['mismatches']}."
    )


def _verification(results: Results) -> str:
    found = results.verification
    what = {
        "PyTorch": "the quantised network that was trained",
        "interpreter": "the tracer's program of adders, multipliers and tables",
        "Verilog": f"the circuit in {found['versions']['verilator']}",
    }
    rows = [
        (leg["name"], what[leg["name"]], f"{leg['compared']:,}", f"{leg['mismatches']}")
        for leg in found["legs"]
    ]
    head = ("against the numpy int64 reference", "computed by", "jets and corner vectors", "mismatches")
    return _table(head, rows, words=(0, 1))


def _commands(results: Results) -> Iterable[Sequence[str]]:
    for step in results.steps:
        yield step.title, step.command, f"{step.seconds:,.1f}"


def _bar(share: float) -> str:
    return f'<span class="bar"><i style="width:{min(100 * share, 100):.1f}%"></i></span>'


def _table(
    head: Sequence[str],
    rows: Iterable[Sequence[str]],
    words: Sequence[int] = (0,),
    code: int | None = None,
    raw: int | None = None,
) -> str:
    """An HTML table; columns `words` hold words, `code` commands, `raw` HTML of ours, and all others numbers."""

    def line(tag: str, texts: Sequence[str]) -> str:
        cells = (cell(tag, place, text) for place, text in enumerate(texts))
        return f"<tr>{''.join(cells)}</tr>"

    def cell(tag: str, place: int, text: str) -> str:
        content = text if place == raw else html.escape(text)
        if place == code and tag == "td":
            content = f"<code>{content}</code>"
        return (
            f'<{tag} class="words">{content}</{tag}>'
            if place in (*words, code)
            else f"<{tag}>{content}</{tag}>"
        )

    body = "".join(line("td", row) for row in rows)
    return f"<table><thead>{line('th', head)}</thead><tbody>{body}</tbody></table>"
