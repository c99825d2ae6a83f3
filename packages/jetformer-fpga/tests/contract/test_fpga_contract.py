"""What this package needs of the array schema's owner, and of the state's owner where it is installed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jetformer_data import schema
from jetformer_data.testing import ReaderContract, example_jets
from jetformer_fpga import state, vectors
from jetformer_fpga.fixed_point import Format, quantise_real
from jetformer_fpga.testing import random_state


class TestVectorsReadJets(ReaderContract):
    """The owner's tests of a program that reads jets."""

    def use_jets(self, path: Path) -> Any:
        state_path = path.with_name("contract.safetensors")
        return vectors.of_file(state.read(random_state(state_path, seed=1)), path, "all", None)[0].x


def test_jets_arrive_by_name_normalised_and_padded(small_state: Path, jets: Path) -> None:
    loaded = state.read(small_state)
    asked, positions = vectors.of_file(loaded, jets, "test", None)
    stored = schema.read(jets)
    row = int(np.argmax(positions >= 9))
    begin, end = stored.offsets[positions[row] : positions[row] + 2]
    rows = stored.constituents[begin : min(end, begin + 3)].astype(np.float64)
    fmt: Format = loaded.formats["features"]
    assert (asked.x[row] == quantise_real((rows - loaded.inputs.mean) / loaded.inputs.std, fmt)).all()
    assert asked.mask[positions < 9].sum() == 0


def test_the_split_is_the_owners(small_state: Path, jets: Path) -> None:
    loaded = state.read(small_state)
    parts = [set(vectors.of_file(loaded, jets, split, None)[1]) for split in ("train", "validation", "test")]
    assert sum(map(len, parts)) == len(set.union(*parts)) == 300
    assert vectors.of_file(loaded, jets, "test", 4)[1].size == 4


def test_a_missing_feature_is_named(tmp_path: Path, small_state: Path) -> None:
    from dataclasses import replace

    loaded = state.read(small_state)
    path = tmp_path / "jets.h5"
    schema.write(path, example_jets(20, seed=1))
    other = replace(loaded, inputs=replace(loaded.inputs, features=("pt", "etarel", "charge")))
    with pytest.raises(schema.DataError, match="charge"):
        vectors.of_file(other, path, "all", None)


def test_random_states_please_the_owner_of_the_state(small_state: Path) -> None:
    owner = pytest.importorskip("jetformer_model.state", reason="jetformer-model is not installed here")
    try:
        owner.check(small_state)
    except Exception as error:
        if "not supported (expected 1.x)" in str(error):
            pytest.skip("the jetformer-model installed here reads no fixed-point states of version 2.0")
        raise
