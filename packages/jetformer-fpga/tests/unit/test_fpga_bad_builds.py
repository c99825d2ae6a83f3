"""What can't be built, or was not built to the end, is one sentence and no project."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from jetformer_fpga import capacity, network, project, resources, state, tools, vectors
from jetformer_fpga.errors import FpgaError, ProjectError, StateError
from jetformer_fpga.resources import PARTS, Resources
from jetformer_fpga.testing import Sketch


def test_too_large_says_by_how_much_and_where(small_state: Path) -> None:
    loaded = state.read(small_state)
    part = PARTS["xcvu13p"]
    capacity.check(Resources(part["lut"], part["ff"], 0, 0, "xcvu13p", ""), loaded)
    with pytest.raises(FpgaError) as caught:
        capacity.check(Resources(part["lut"] * 5 // 4, 1, 1, 0, "xcvu13p", ""), loaded)
    told = str(caught.value)
    assert "2,160,000 LUT, 432,000 (25%) more than its 1,728,000" in told
    assert "costliest layer is 'blocks.0.attention." in told
    with pytest.raises(FpgaError, match=r"DSP, 1 .* of the multipliers: send products to LUT"):
        capacity.check(Resources(1, 1, part["dsp"] + 1, 0, "xcvu13p", ""), loaded)


def test_a_circuit_too_large_leaves_nothing(
    small_state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tools, "yosys", lambda: None)
    monkeypatch.setitem(resources.PARTS, "xcku5p", {"lut": 10, "ff": 10**6, "dsp": 10**3, "bram": 1})
    with pytest.raises(FpgaError, match="too large for xcku5p"):
        project.synth(small_state, tmp_path / "fw", part="xcku5p")
    assert list(tmp_path.iterdir()) == []
    assert project.synth(small_state, tmp_path / "fw", part="xcku5p", measure_resources=False)


def test_formats_that_overflow_name_the_operation(tmp_path: Path) -> None:
    """Four numbers of 24 bits multiplied without a quantiser between them."""
    sketch = Sketch(seed=2, constituents=2, features=2)
    x = sketch.features((1, 3, 20))
    for name in ("squared", "cubed", "fourth"):
        x = sketch.op("multiply", name, x, "features")
    flat = sketch.op("reshape", "flat", x, shape=[4])
    sketch.quantise("logits", sketch.linear("head", flat, 5), (1, 4, 3))
    loaded = state.read(sketch.write(tmp_path / "wide"))
    with pytest.raises(StateError, match=r"operation 'cubed': its exact result needs 69 bits"):
        network.build(loaded)
    with pytest.raises(FpgaError, match="operation 'cubed'"):
        project.synth(tmp_path / "wide", tmp_path / "fw", measure_resources=False)
    assert not (tmp_path / "fw").exists()


def test_beyond_the_format_saturates_and_no_number_is_refused(
    small_state: Path, jets: Path, tmp_path: Path, own_cache: Path
) -> None:
    loaded = state.read(small_state)
    data = tmp_path / "jets.h5"
    data.write_bytes(jets.read_bytes())
    with h5py.File(data, "r+") as file:
        column = next(
            name for name in _columns(file) if file[name].dtype.kind == "f" and file[name].ndim >= 1
        )
        column = next((name for name in _columns(file) if name.split("/")[-1] == "etarel"), column)
        values = file[column][...]
        values.reshape(len(values), -1)[0, 0] = 1e30
        file[column][...] = values
    asked = vectors.of_file(loaded, data, "all", None)[0]
    fmt = loaded.formats["features"].spread(asked.x.shape)
    assert ((asked.x >= fmt.low) & (asked.x <= fmt.high)).all()
    bad = asked.values.copy()
    bad[3, 0, 1] = np.nan
    with pytest.raises(FpgaError, match=r"jet 13, constituent 0: etarel is nan"):
        vectors._coded(loaded, bad, asked.mask | True, np.arange(len(bad)) + 10)


def _columns(file: h5py.File) -> list[str]:
    names: list[str] = []
    file.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
    return names


def test_a_killed_build_is_no_project(small_state: Path, tmp_path: Path) -> None:
    """Killed while it writes: nothing under its name; the next build works and clears away what was left."""
    out = tmp_path / "fw"
    code = (
        "import sys, time; from jetformer_fpga import project, tracer; save = tracer.save\n"
        "tracer.save = lambda *a: (save(*a), print('writing', flush=True), time.sleep(60))\n"
        f"project.synth({str(small_state)!r}, {str(out)!r}, measure_resources=False)"
    )
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    project.synth(small_state, tmp_path / "other", measure_resources=False)
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, env=environment) as running:
        assert running.stdout is not None
        running.stdout.readline()
        os.kill(running.pid, signal.SIGKILL)
    assert not out.exists()
    with pytest.raises(ProjectError, match="no firmware project here"):
        project.load(out)
    assert project.synth(small_state, out, measure_resources=False).changed_files() == []
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_the_same_again_is_left_alone(small_state: Path, tmp_path: Path) -> None:
    made = project.synth(small_state, tmp_path / "fw", measure_resources=False)
    stamp = (made.folder / "project.json").stat().st_mtime_ns
    project.synth(small_state, tmp_path / "fw", measure_resources=False)
    assert (made.folder / "project.json").stat().st_mtime_ns == stamp
    (made.verilog / "jetformer.v").write_text("// mine")
    assert project.synth(small_state, tmp_path / "fw", measure_resources=False).changed_files() == []
    other = project.synth(small_state, tmp_path / "fw", stage_delay=4.0, measure_resources=False)
    assert other.description["latency_cycles"] > made.description["latency_cycles"]
