"""The command that jetformer-fpga asks jetformer-model with, where the latter is installed."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from jetformer_fpga import reference, state, vectors, verification
from jetformer_fpga.errors import FpgaError

pytest.importorskip("jetformer_model", reason="jetformer-model is not installed here")


def test_model_answers_with_the_reference_s_logits(small_state: Path) -> None:
    read = state.read(small_state)
    asked = vectors.corners(read)
    try:
        real = verification._ask_model(SimpleNamespace(state_path=small_state), asked)
    except FpgaError as error:
        if "not supported (expected 1.x)" in str(error):
            pytest.skip("the jetformer-model installed here reads no fixed-point states of version 2.0")
        raise
    expected = read.formats["logits"].value(reference.logits(read, asked.x, asked.mask))
    np.testing.assert_array_equal(real, expected)


def test_what_model_complains_of_is_passed_on(tmp_path: Path, small_state: Path) -> None:
    asked = vectors.corners(state.read(small_state))
    with pytest.raises(FpgaError, match="no such file"):
        verification._ask_model(SimpleNamespace(state_path=tmp_path / "absent.safetensors"), asked)
