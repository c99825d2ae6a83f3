"""Numbers that the pages of jetformer-model print are those of the code and of the stored measurements."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from jetformer_model.comparison_table import Number
from jetformer_model.inputs import Inputs
from jetformer_model.taggers import TAGGERS, build, flops, parameters

ROOT = Path(__file__).parents[2]
MEASURED = json.loads((ROOT / "docs/results/bench-gpu.json").read_text(encoding="utf-8"))
COMPARISON = (ROOT / "docs/model/comparison.md").read_text(encoding="utf-8")


def row(text: str, heading: str, first: str) -> str:
    """The line of a table under `heading` whose first cell is `first`."""
    section = text.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return next(line for line in section.splitlines() if line.startswith(f"| {first} |"))


def lines_of(text: str, heading: str, tagger: str) -> list[str]:
    """The lines of a tagger in a table: that of its name, and those below it with nothing in the first cell."""
    lines = text.split(f"\n## {heading}\n")[1].splitlines()
    start = lines.index(row(text, heading, f"`{tagger}`"))
    more = next(n for n in range(start + 1, len(lines)) if not lines[n].startswith("| |"))
    return lines[start:more]


@pytest.mark.parametrize("name", [name for name, spec in TAGGERS.items() if spec.published])
def test_published_counts_and_ours(name: str) -> None:
    lines = lines_of(COMPARISON, "Published counts, and ours", name)
    assert len(lines) == len(TAGGERS[name].published)
    for line, published in zip(lines, TAGGERS[name].published, strict=True):
        others = tuple(f"feature_{number}" for number in range(3, published.features))
        units, zeros, ones = (("",), (0.0,), (1.0,))
        size = published.features
        inputs = Inputs(("pt", "etarel", "phirel", *others), units * size, zeros * size, ones * size, 0.0)
        tagger = build(
            name, inputs, constituents=published.constituents, classes=published.classes, **published.sizes
        )
        cells = [cell.strip(" *") for cell in line.strip("|").split("|")][1:]
        assert cells == [
            f"{published.constituents} x {published.features}, {published.classes}",
            published.parameters or "",
            f"{parameters(tagger):,}",
            published.flops or "",
            f"{flops(tagger):,}",
        ]


@pytest.mark.parametrize("name", list(TAGGERS))
def test_every_tagger_is_told_of_with_its_source(name: str) -> None:
    line = next(line for line in COMPARISON.splitlines() if line.startswith("|") and f"`{name}`" in line)
    assert TAGGERS[name].source in line or name == "mlp-tiny"
    assert ("does not matter" in line) == ("order" in TAGGERS[name].claims)


def test_accuracies_are_the_measured_ones() -> None:
    heading = "Accuracy on simulated jets"
    for found in MEASURED["accuracy"]["accuracy"]:
        line = row(COMPARISON, heading, f"`{found['model']}`")
        cell = line.split("|")[(8, 16, 32).index(found["constituents"]) + 2].strip()
        assert cell == str(Number(found["accuracy"], found["error"]))
        assert f"{found['parameters']:,}" in line
        assert f"{found['flops']:,}" in line
    margins = COMPARISON.split("| above |")[1]
    for found in MEASURED["accuracy"]["accuracy_margins"]:
        line = next(line for line in margins.splitlines() if line.startswith(f"| `{found['model']}` |"))
        cell = line.split("|")[(8, 16, 32).index(found["constituents"]) + 2].strip()
        assert cell == str(Number(found["difference"], found["error"]))


@pytest.mark.parametrize("run", MEASURED["speed"]["runs"], ids=lambda run: f"{run['model']}-{run['mode']}")
def test_speeds_are_the_measured_ones(run: dict[str, Any]) -> None:
    name = f"`{run['model']}{'-large' if run['model'] == 'jetformer' else ''}` | {run['mode']}"
    cells = [cell.strip() for cell in row(COMPARISON, "Speed", name).split("|")]
    assert cells[3:5] == [f"{run['infer_jets_per_s']:,.0f}", f"{run['train_jets_per_s']:,.0f}"]
