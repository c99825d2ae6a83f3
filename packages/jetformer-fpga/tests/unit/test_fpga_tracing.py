"""A state that was traced before is not traced again, and the circuit is the same."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from jetformer_fpga import project, tracer
from jetformer_fpga.testing import random_state


def test_a_second_time_comes_from_the_cache(
    small_state: Path, tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = project.synth(small_state, tmp_path / "first", measure_resources=False)
    assert len(list(own_cache.rglob("*.json.gz"))) == 1

    def never(*_: object) -> None:
        raise AssertionError("traced again")

    with monkeypatch.context() as patch:
        patch.setattr(tracer, "trace", never)
        again = project.synth(
            shutil.copy(small_state, tmp_path / "copy"), tmp_path / "again", measure_resources=False
        )
    for path in first.verilog.iterdir():
        assert (again.verilog / path.name).read_text() == path.read_text()
    other = random_state(
        tmp_path / "other", seed=9, constituents=2, attention_dims=(2,), feedforward_dims=(2,)
    )
    project.synth(other, tmp_path / "third", measure_resources=False)
    assert len(list(own_cache.rglob("*.json.gz"))) == 2
