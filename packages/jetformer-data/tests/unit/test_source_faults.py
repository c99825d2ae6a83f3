"""Damaged files are refused with a sentence or read right; `benchmarks/faults.py` tries many more."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from jetformer_data.testing.source_examples import WRITERS
from jetformer_data.testing.source_faults import judge, mutations


@pytest.mark.parametrize("kind", tuple(WRITERS))
def test_damage_is_dealt_with(tmp_path: Path, kind: str) -> None:
    verdicts = judge(kind, tmp_path, seed=5, number=40)
    assert verdicts.faults == []
    assert verdicts.files == 40
    assert verdicts.outcomes["refused"] > 10
    assert verdicts.outcomes["read"] > 0


def test_damage_is_the_same_each_time(tmp_path: Path) -> None:
    twice = [
        [(m.what, m.path.read_bytes()) for m in mutations("npz_rows", tmp_path, np.random.default_rng(3), 20)]
        for _ in range(2)
    ]
    assert [what for what, _ in twice[0]] == [what for what, _ in twice[1]]
    assert len({content for _, content in twice[0]}) > 15
