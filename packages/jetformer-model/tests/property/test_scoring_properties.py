"""What must hold for scores and for graphs, however jets are cut into files, batches and padding."""

from itertools import pairwise
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from jetformer_data import schema
from jetformer_data.testing import example_jets
from jetformer_model.onnx_export import export
from jetformer_model.scorers import TorchScorer
from jetformer_model.scoring import Scoring
from jetformer_model.state import save
from jetformer_model.testing import example_batch, example_state

JETS = example_jets(jets=40, seed=5, empty=1)


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("graph")
    save(folder / "s.safetensors", example_state())
    export(folder / "s.safetensors", folder / "s.onnx")
    return onnxruntime.InferenceSession(folder / "s.onnx", providers=["CPUExecutionProvider"])


@settings(max_examples=15, deadline=None)
@given(cuts=st.sets(st.integers(0, 40), max_size=4), batch=st.integers(1, 50))
def test_cutting_jets_into_files_and_batches_changes_nothing(
    cuts: set[int], batch: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder, bounds = tmp_path_factory.mktemp("files"), [0, *sorted(cuts), 40]
    for number, (start, stop) in enumerate(pairwise(bounds)):
        schema.write(folder / f"{number}.h5", JETS.select(np.arange(start, stop)))
    scores = list(Scoring(folder, TorchScorer(example_state()), batch=batch))
    place = np.concatenate([np.array(bounds)[part.file_index] + part.jet_index for part in scores])
    assert place.tolist() == list(range(40))
    schema.write(folder / "whole", JETS)
    (whole,) = Scoring(folder / "whole", TorchScorer(example_state()))
    found = np.concatenate([part.probabilities for part in scores])
    np.testing.assert_allclose(found, whole.probabilities, rtol=0, atol=1e-6)


@settings(max_examples=25, deadline=None)
@given(
    jets=st.integers(1, 9),
    more=st.integers(0, 6),
    junk=st.sampled_from((np.nan, np.inf, -np.inf, 1e30, -7.0)),
    seed=st.integers(0, 99),
)
def test_graphs_never_read_padding(session: Any, jets: int, more: int, junk: float, seed: int) -> None:
    x, mask = example_batch(jets, seed=seed)
    longer = torch.nn.functional.pad(x, (0, 0, 0, more)), torch.nn.functional.pad(mask, (0, more))
    dirty = torch.where(longer[1].unsqueeze(-1), longer[0], junk)
    clean, padded, junked = (
        session.run(None, {"constituents": a.numpy(), "mask": b.numpy()})[0]
        for a, b in ((x, mask), longer, (dirty, longer[1]))
    )
    np.testing.assert_array_equal(junked, padded)
    np.testing.assert_allclose(padded, clean, rtol=0, atol=1e-6)
    np.testing.assert_allclose(clean.sum(1), 1, rtol=1e-5)
