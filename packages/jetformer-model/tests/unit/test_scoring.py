"""Scores line up with the jets they are of, and are the network's, whatever reads the jets and runs the network."""

import dataclasses
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from jetformer_data import schema
from jetformer_data.conversion import convert
from jetformer_data.errors import DataError
from jetformer_data.jets import concatenate
from jetformer_data.padding import padded
from jetformer_data.splitting import split_mask
from jetformer_data.testing import example_jets
from jetformer_data.testing.source_examples import example, write_hdf5_rows
from jetformer_data.workers import Processes
from jetformer_model.errors import ModelError
from jetformer_model.onnx_export import export
from jetformer_model.scorers import OnnxScorer, TorchScorer, open_scorer
from jetformer_model.scoring import Scores, Scoring
from jetformer_model.state import State, save
from jetformer_model.testing import example_state

COUNTS = (37, 11, 23)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three files of jets (0.h5, 1.h5, 2.h5), some of them empty, and a state with its graphs."""
    folder = tmp_path_factory.mktemp("scoring")
    for number, jets in enumerate(COUNTS):
        schema.write(folder / f"{number}.h5", example_jets(jets=jets, seed=number, empty=2))
    save(folder / "s.safetensors", example_state())
    for output in ("probabilities", "log-softmax", "logits"):
        export(folder / "s.safetensors", folder / f"{output}.onnx", output=output)
    export(folder / "s.safetensors", folder / "normalised.onnx", normalised=True)
    return folder


def scored(*arguments: Any, **options: Any) -> Scores:
    """All batches as one."""
    parts = list(Scoring(*arguments, **options))
    fields = [field.name for field in dataclasses.fields(Scores)]
    return Scores(*(np.concatenate([getattr(part, name) for part in parts]) for name in fields))


@torch.no_grad()
def expected(state: State, paths: list[Path]) -> np.ndarray:
    """Probabilities by another way: padded, normalised here, all at once."""
    jets = concatenate([schema.read(path) for path in paths])
    x, mask = padded(jets, state.constituents, state.inputs.features, state.inputs.min_pt_gev)
    normal = np.where(mask[..., None], (x - np.array(state.inputs.mean)) / np.array(state.inputs.std), 0)
    logits = state.network(torch.from_numpy(normal.astype(np.float32)), torch.from_numpy(mask))
    return logits.softmax(-1).numpy()


@pytest.mark.parametrize("batch", (1, 7, 1000))
def test_scores_line_up_with_jets(folder: Path, batch: int) -> None:
    paths = [folder / f"{number}.h5" for number in (1, 0, 2)]
    found = scored(paths, TorchScorer(example_state()), batch=batch)
    assert found.file_index.tolist() == [0] * 11 + [1] * 37 + [2] * 23
    assert found.jet_index.tolist() == [*range(11), *range(37), *range(23)]
    assert found.labels is not None
    np.testing.assert_array_equal(found.labels, np.concatenate([schema.read(path).labels for path in paths]))
    np.testing.assert_allclose(found.probabilities, expected(example_state(), paths), rtol=0, atol=1e-6)
    assert found.probabilities.dtype == np.float32
    assert found.probabilities.std(0).min() > 1e-3


def test_soft_constituents_are_dropped_first(folder: Path) -> None:
    state = example_state()
    state = dataclasses.replace(state, inputs=dataclasses.replace(state.inputs, min_pt_gev=120.0))
    found = scored(folder / "0.h5", TorchScorer(state)).probabilities
    np.testing.assert_allclose(found, expected(state, [folder / "0.h5"]), atol=1e-6)
    assert np.abs(found - expected(example_state(), [folder / "0.h5"])).max() > 1e-3


@pytest.mark.parametrize("graph", ("probabilities", "log-softmax", "logits", "normalised"))
def test_onnx_runtime_gives_the_same(folder: Path, graph: str) -> None:
    paths = [folder / f"{number}.h5" for number in range(3)]
    found = scored(paths, open_scorer(folder / f"{graph}.onnx"), batch=9)
    np.testing.assert_allclose(found.probabilities, expected(example_state(), paths), rtol=0, atol=1e-5)


def test_a_state_is_exported_on_the_way_where_onnx_runtime_is_asked_for(folder: Path) -> None:
    scorer = open_scorer(folder / "s.safetensors", "onnx")
    assert isinstance(scorer, OnnxScorer)
    found = scored(folder / "0.h5", scorer)
    np.testing.assert_allclose(found.probabilities, expected(example_state(), [folder / "0.h5"]), atol=1e-5)


def test_a_split_is_scored_alone(folder: Path) -> None:
    found = scored([folder / "0.h5", folder / "2.h5"], TorchScorer(example_state()), "test", batch=2)
    wanted = [np.flatnonzero(split_mask(jets, "test")).tolist() for jets in (37, 23)]
    assert found.file_index.tolist() == [0] * len(wanted[0]) + [1] * len(wanted[1])
    assert found.jet_index.tolist() == wanted[0] + wanted[1]


def test_a_second_loop_gives_the_same(folder: Path) -> None:
    scoring = Scoring(folder, TorchScorer(example_state()), batch=10)
    first, second = list(scoring), list(scoring)
    assert len(first) == len(second) == len(scoring) == 8
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a.probabilities, b.probabilities)


def test_files_of_other_layouts_score_as_if_they_were_converted(tmp_path: Path) -> None:
    for number in range(2):
        write_hdf5_rows(tmp_path / f"{number}.hdf5", example(jets=29, seed=number))
    paths = [tmp_path / "0.hdf5", tmp_path / "1.hdf5"]
    convert(paths, tmp_path / "all.h5", "hls4ml-3", backend=Processes(1))
    state = example_state()
    classes = schema.Reader(tmp_path / "all.h5").class_names
    scorer = TorchScorer(dataclasses.replace(state, class_names=classes))
    found, converted = (scored(files, scorer, batch=8) for files in (paths, tmp_path / "all.h5"))
    np.testing.assert_allclose(found.probabilities, converted.probabilities, atol=1e-6)
    np.testing.assert_array_equal(found.labels, converted.labels)
    assert found.file_index.tolist() == [0] * 29 + [1] * 29
    assert found.jet_index.tolist() == [*range(29), *range(29)]
    with pytest.raises(ModelError, match="only files of the array schema have splits"):
        Scoring(paths, scorer, "test")


def changed(folder: Path, tmp_path: Path, **changes: Any) -> Path:
    schema.write(tmp_path / "changed.h5", dataclasses.replace(schema.read(folder / "0.h5"), **changes))
    return tmp_path / "changed.h5"


def test_other_classes_are_refused_unless_labels_are_left_out(folder: Path, tmp_path: Path) -> None:
    path = changed(folder, tmp_path, class_names=("a", "b", "c", "d", "e"))
    scorer = TorchScorer(example_state())
    with pytest.raises(
        ModelError, match=r"changed.h5: its classes are a, b, c, d, e, the network's are g, q"
    ):
        Scoring([folder / "0.h5", path], scorer)
    (scores,) = Scoring(path, scorer, labelled=False)
    assert scores.labels is None
    np.testing.assert_allclose(scores.probabilities, expected(example_state(), [folder / "0.h5"]), atol=1e-6)


def test_missing_features_are_named(folder: Path, tmp_path: Path) -> None:
    path = changed(folder, tmp_path, feature_names=("pt", "eta", "phirel"))
    with pytest.raises(DataError, match="'etarel': not among the stored features"):
        Scoring(path, TorchScorer(example_state()))


def test_features_are_found_by_name(folder: Path, tmp_path: Path) -> None:
    jets = schema.read(folder / "0.h5")
    path = changed(
        folder,
        tmp_path,
        constituents=np.ascontiguousarray(jets.constituents[:, ::-1]),
        feature_names=jets.feature_names[::-1],
        feature_units=jets.feature_units[::-1],
    )
    found = scored(path, TorchScorer(example_state()))
    np.testing.assert_allclose(found.probabilities, expected(example_state(), [folder / "0.h5"]), atol=1e-6)


def test_no_number_is_refused_with_its_place(folder: Path, tmp_path: Path) -> None:
    import h5py

    path = changed(folder, tmp_path)
    with h5py.File(path, "r+") as file:
        file["constituents"][3, 1] = np.nan
    with pytest.raises(DataError, match=r"changed.h5: jet \d+ holds nan in feature 'etarel'"):
        scored(path, TorchScorer(example_state()))


def test_no_jets_are_said(folder: Path, tmp_path: Path) -> None:
    schema.write(tmp_path / "empty.h5", schema.read(folder / "0.h5", 0, 0))
    with pytest.raises(ModelError, match=r"empty.h5: no jets in the all split"):
        Scoring(tmp_path / "empty.h5", TorchScorer(example_state()))
    found = scored([tmp_path / "empty.h5", folder / "1.h5"], TorchScorer(example_state()))
    assert found.file_index.tolist() == [1] * 11


def test_a_full_gpu_is_told_which_batch_to_try(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = example_state()

    def full(*arguments: object) -> None:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(state.network, "forward", full)
    with pytest.raises(ModelError, match="too small for 12 jets at once; try a batch of 6"):
        scored(folder / "0.h5", TorchScorer(state), batch=12)
    with pytest.raises(ModelError, match="even one jet is too much"):
        scored(folder / "0.h5", TorchScorer(state), batch=1)


@pytest.mark.parametrize(
    ("model", "options", "reason"),
    (
        ("absent.onnx", {}, "no such file"),
        ("0.h5", {}, "cannot be read|not a"),
        ("damaged.onnx", {}, "no graph that ONNX Runtime can read"),
        ("foreign.onnx", {}, "was not made by `jetformer-model export`"),
        ("logits.onnx", {"runtime": "torch"}, "PyTorch cannot run a graph"),
        ("logits.onnx", {"device": "cuda"}, "on the CPU alone"),
        ("s.safetensors", {"runtime": "tensorrt"}, "expected one of torch, onnx"),
        ("s.safetensors", {"device": "abacus"}, "cannot be used"),
    ),
)
def test_bad_models_are_said(folder: Path, model: str, options: dict[str, str], reason: str) -> None:
    import onnx

    content = (folder / "logits.onnx").read_bytes()
    (folder / "damaged.onnx").write_bytes(content[: len(content) // 2])
    foreign = onnx.load(folder / "logits.onnx")
    del foreign.metadata_props[:]
    onnx.save(foreign, os.fspath(folder / "foreign.onnx"))
    with pytest.raises(ModelError, match=reason) as caught:
        open_scorer(folder / model, **options)
    assert "\n" not in str(caught.value)
