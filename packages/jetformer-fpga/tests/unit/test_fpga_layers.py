"""Costs a layer, drawings, and the sweep of pipelines."""

from __future__ import annotations

import csv
from pathlib import Path
from xml.etree import ElementTree

import pytest

from jetformer_fpga import cli, drawing, exploration, fusion, layers, network, state, tracer
from jetformer_fpga.errors import FpgaError, ToolError
from jetformer_fpga.extras import require
from jetformer_fpga.testing import NETWORKS, Sketch


@pytest.fixture(scope="module")
def found(small_state: Path) -> list[layers.Layer]:
    return layers.layers_of(state.read(small_state), 8)


def test_layers_add_up_to_about_the_whole(found: list[layers.Layer], small_state: Path) -> None:
    whole = tracer.trace(fusion.fuse(network.build(state.read(small_state)), 8)).cost
    assert sum(layer.lut for layer in found) == pytest.approx(whole, rel=0.25)
    # 2 heads and 3 constituents: what meets the class token, which is constant, needs no multiplier
    mixed = next(layer for layer in found if layer.name.endswith("attention.mixed"))
    assert (mixed.op, mixed.shape, mixed.multipliers) == ("matmul", (2, 1, 1), 6)


def test_layers_know_their_widths(found: list[layers.Layer]) -> None:
    by_name = {layer.name: layer for layer in found}
    assert by_name["features"].bits == (6, 6)
    assert by_name["mask"].bits == (1, 1)
    assert by_name["blocks.0.attention.score"].kif == "(1, 3, 2)"
    assert by_name["logits"].lut > 0
    assert by_name["blocks.0.attention.key.heads"].lut == 0


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_every_kind_of_network_has_costs(name: str, tmp_path: Path) -> None:
    sketch = Sketch(seed=1)
    NETWORKS[name](sketch)
    loaded = state.read(sketch.write(tmp_path / "s"))
    assert sum(layer.lut for layer in layers.layers_of(loaded, 8)) > 0


def test_drawings_show_every_layer_that_computes(found: list[layers.Layer]) -> None:
    text, picture = drawing.mermaid(found), drawing.svg(found, "small & fast")
    root = ElementTree.fromstring(picture)
    texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    for layer in found:
        assert (layer.name in texts) == (layer.op not in drawing.HIDDEN)
        assert (f'"{layer.name}<br/>' in text) == (layer.op not in drawing.HIDDEN)
    drawn = drawing.visible(found)
    assert text.count("-->") == sum(len(sources) for _, sources in drawn) == picture.count("<path")
    places = drawing._places(drawn)
    assert len(set(places.values())) == len(drawn)


def test_the_sweep_trades_cycles_for_registers(small_state: Path, tmp_path: Path) -> None:
    points = exploration.explore(small_state, stage_delays=(4, 8, 30), depths=(0, -1))
    assert len(points) == 6
    short = {(p.stage_delay, p.depth): p for p in points}
    assert short[4, 0].latency_cycles > short[8, 0].latency_cycles > short[30, 0].latency_cycles
    assert short[4, 0].ff > short[30, 0].ff
    assert any(p.best for p in points)
    exploration.write_csv(points, tmp_path / "points.csv")
    with (tmp_path / "points.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["lut"]) for row in rows] == [p.lut for p in points]


def test_the_sweep_s_default_is_the_project_s(small_state: Path, tmp_path: Path) -> None:
    from jetformer_fpga import project

    made = project.synth(small_state, tmp_path / "fw", measure_resources=False).description
    (point,) = exploration.explore(small_state, stage_delays=(project.STAGE_DELAY,), depths=(tracer.DEPTH,))
    assert (point.latency_cycles, point.latency_ns) == (made["latency_cycles"], made["latency_ns"])


@pytest.mark.parametrize("options", ({"stage_delays": (0.0,)}, {"table_bits": (40,)}, {"depths": ()}))
def test_a_sweep_that_makes_no_sense(small_state: Path, options: dict[str, tuple[int, ...]]) -> None:
    with pytest.raises(FpgaError, match=r"must be|needs"):
        exploration.explore(small_state, **options)  # type: ignore[arg-type]


def test_the_commands_write_files(
    small_state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib (extra plot) is not installed here")
    names = {"svg": tmp_path / "n.svg", "mermaid": tmp_path / "n.mmd"}
    options = [word for name, path in names.items() for word in (f"--{name}", str(path))]
    cli.app(["show", str(small_state), *options], standalone_mode=False)
    assert all(path.stat().st_size > 500 for path in names.values())
    plots = ["--plot", str(tmp_path / "p.svg"), "--csv", str(tmp_path / "p.csv"), "--depths", "0"]
    cli.app(["explore", str(small_state), "--stage-delays", "8, 20", *plots], standalone_mode=False)
    assert (tmp_path / "p.svg").stat().st_size > 1000
    assert "estimates of the tracer" in capsys.readouterr().out
    with pytest.raises(FpgaError, match="expected numbers with commas"):
        cli.app(["explore", str(small_state), "--depths", "a"], standalone_mode=False)


def test_an_absent_extra_is_named() -> None:
    with pytest.raises(ToolError, match=r"jetformer-fpga\[plot\]"):
        require("no_such_module_here", "plot")
