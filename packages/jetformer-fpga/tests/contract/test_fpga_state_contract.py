"""jetformer-fpga as a reader of the state interface: the owner's tests, where the owner is installed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from jetformer_fpga import state
from jetformer_fpga.errors import FpgaError
from jetformer_fpga.testing import random_state

testing = pytest.importorskip("jetformer_model.testing", reason="jetformer-model is not installed here")


class TestStateReader(testing.StateReaderContract):  # type: ignore[misc,name-defined]
    expected_error = FpgaError
    refused = dict.fromkeys(("float", "pruned", "one_bit"), "quantise it first")

    def make_state(self, path: Path) -> None:
        random_state(path, seed=1)

    def use_state(self, path: Path) -> Any:
        return state.read(path)

    def test_fixed_point_states_without_a_graph_are_refused(self, tmp_path: Path) -> None:
        self._refuses(self._edited(tmp_path, version="1.1"), "quantise the float state again")
