"""Emulation gives the reference's integers, and files of scores as the model's own."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from jetformer_data import schema
from jetformer_data.testing import example_jets
from jetformer_fpga import answers, emulation, kernel, network, reference, state, tools, vectors
from jetformer_fpga.errors import FpgaError, ToolError
from jetformer_fpga.testing import NETWORKS, Sketch, random_state


@pytest.fixture
def compiler() -> None:
    try:
        tools.compiler()
    except ToolError as error:
        pytest.skip(str(error))


def different(loaded: state.State, rng: np.random.Generator, jets: int = 101) -> int:
    shape = (jets, *loaded.input_shape)
    fmt = loaded.formats["features"].spread(shape)
    mask = rng.integers(0, 4, size=shape[:2]) > 0
    asked = vectors.Vectors.of_codes(loaded, rng.integers(fmt.low, fmt.high + 1), mask, ("",) * jets)
    asked += vectors.corners(loaded)
    found = emulation.Emulator(loaded)(asked.x, asked.mask)
    return int((found != reference.logits(loaded, asked.x, asked.mask)).any(axis=1).sum())


@pytest.mark.usefixtures("compiler", "own_cache")
@pytest.mark.parametrize("name", NETWORKS)
def test_every_kind_of_network(name: str, tmp_path: Path, rng: np.random.Generator) -> None:
    sketch = Sketch(seed=8)
    NETWORKS[name](sketch)
    assert different(state.read(sketch.write(tmp_path / "s")), rng) == 0


@pytest.mark.usefixtures("compiler", "own_cache")
def test_a_transformer_and_a_planted_fault(
    odd_state: state.State, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert different(odd_state, rng) == 0
    monkeypatch.setattr(kernel, "PROLOGUE", kernel.PROLOGUE.replace("sum += weight", "sum -= weight"))
    assert different(odd_state, rng) > 0


@pytest.mark.usefixtures("compiler", "own_cache")
@pytest.mark.parametrize("output", ("argmax", "log-probabilities"))
def test_other_answers(output: str, odd_state: state.State, rng: np.random.Generator) -> None:
    assert different(answers.answering(odd_state, output), rng) == 0


@pytest.mark.usefixtures("compiler", "own_cache")
def test_narrow_processors(
    odd_state: state.State, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without what only this machine has, and with fewer jets side by side."""
    options = tuple(option for option in emulation.OPTIONS if option != "-march=native")
    monkeypatch.setattr(emulation, "OPTIONS", options)
    assert different(odd_state, rng) == 0


@pytest.mark.usefixtures("compiler", "own_cache")
@pytest.mark.parametrize("fraction", (20, 2), ids=("few bits are dropped", "more than 32 bits are dropped"))
def test_wide_formats_get_64_bits(fraction: int, tmp_path: Path, rng: np.random.Generator) -> None:
    sketch = Sketch(seed=2, constituents=2, features=2, weight_bits=20)
    flat = sketch.op("reshape", "flat", sketch.features((1, 3, 19)), shape=[4])
    wide = sketch.quantise("wide", sketch.linear("first", flat, 3), (1, 3, fraction))
    sketch.quantise("logits", sketch.linear("head", wide, 5), (1, 4, 18))
    loaded = state.read(sketch.write(tmp_path / "wide"))
    assert "std::int64_t;" in kernel.source(network.build(loaded))
    assert different(loaded, rng) == 0


def test_scores_of_a_file(small_state: Path, jets: Path, tmp_path: Path, own_cache: Path) -> None:
    out = tmp_path / "scores.h5"
    found = emulation.emulate(small_state, jets, out, split="test", workers=2)
    loaded = state.read(small_state)
    asked, positions = vectors.of_file(loaded, jets, "test", None)
    logits = loaded.formats["logits"].value(reference.logits(loaded, asked.x, asked.mask))
    with h5py.File(out) as file:
        columns = {name: file["scores"][name][:] for name in file["scores"]}
        about = json.loads(file.attrs["about"])
    np.testing.assert_array_equal(columns["jet_index"], positions)
    scores = np.stack([columns[f"score_{name}"] for name in loaded.class_names], axis=1)
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(scores, expected, atol=1e-6)
    labels = schema.read(jets).labels[positions]
    np.testing.assert_array_equal(columns["label"], labels)
    assert (found.jets, about["split"]) == (len(positions), "test")
    assert found.accuracy == pytest.approx((logits.argmax(axis=1) == labels).mean())
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".tmp"] == []


def test_columns_are_those_of_the_model(
    small_state: Path, jets: Path, tmp_path: Path, own_cache: Path
) -> None:
    score_files = pytest.importorskip(
        "jetformer_model.score_files", reason="jetformer-model is not installed here"
    )
    scoring = pytest.importorskip("jetformer_model.scoring", reason="jetformer-model is not installed here")
    emulation.emulate(small_state, jets, tmp_path / "scores.h5")
    one = np.zeros(1, np.int64)
    scores = scoring.Scores(np.zeros((1, 5), np.float32), one, one.astype(np.int32), one)
    expected = score_files.columns_of(scores, state.read(small_state).class_names)
    with h5py.File(tmp_path / "scores.h5") as file:
        assert {name: file["scores"][name].dtype for name in file["scores"]} == {
            name: column.dtype for name, column in expected.items()
        }


def test_the_model_reads_the_scores(small_state: Path, jets: Path, tmp_path: Path, own_cache: Path) -> None:
    score_files = pytest.importorskip(
        "jetformer_model.score_files", reason="jetformer-model is not installed here"
    )
    emulation.emulate(small_state, jets, tmp_path / "scores.h5", split="test")
    loaded = state.read(small_state)
    asked, positions = vectors.of_file(loaded, jets, "test", None)
    logits = loaded.formats["logits"].value(reference.logits(loaded, asked.x, asked.mask))
    found, names, min_pt_gev = score_files.stored_logits(tmp_path / "scores.h5", positions[::-1])
    assert (names, min_pt_gev) == (loaded.class_names, loaded.inputs.min_pt_gev)
    expected = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(found[::-1], expected, atol=1e-5)


def test_without_a_compiler_the_reference_answers(
    small_state: Path, jets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent() -> tools.Tool:
        raise ToolError("none")

    monkeypatch.setattr(tools, "compiler", absent)
    found = emulation.emulate(small_state, jets)
    assert found.engine.startswith("numpy int64 reference")
    assert found.jets == 300


def test_bad_requests_are_sentences(small_state: Path, jets: Path, tmp_path: Path, own_cache: Path) -> None:
    with pytest.raises(FpgaError, match=r"ends in \.h5"):
        emulation.emulate(small_state, jets, tmp_path / "scores.csv")
    other = random_state(
        tmp_path / "s", seed=1, classes=2, constituents=2, attention_dims=(2,), feedforward_dims=(2,)
    )
    with pytest.raises(FpgaError, match="those of the network g, q"):
        emulation.emulate(other, jets, tmp_path / "scores.h5")
    assert not (tmp_path / "scores.h5").exists()
    with pytest.raises(FpgaError, match="cannot be written"):
        emulation.emulate(small_state, jets, tmp_path / "absent" / "scores.h5")


def test_no_jets_in_a_split(small_state: Path, tmp_path: Path, own_cache: Path) -> None:
    schema.write(tmp_path / "one.h5", example_jets(1, seed=1))
    found = [
        emulation.emulate(small_state, tmp_path / "one.h5", split=split).jets for split in ("train", "test")
    ]
    assert sum(found) <= 1
