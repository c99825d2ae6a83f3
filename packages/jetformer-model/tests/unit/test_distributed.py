"""Training from files and in several processes."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from jetformer_data.schema import write
from jetformer_data.testing import example_jets
from jetformer_model.config import preset
from jetformer_model.dataset import tagging_data
from jetformer_model.optimisation import Recipe
from jetformer_model.state import load
from jetformer_model.streamed import streamed_data
from jetformer_model.training import train

FEATURES = ("pt", "etarel", "phirel")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two files with the constants that the generator would store."""
    folder = tmp_path_factory.mktemp("shards")
    import dataclasses

    from jetformer_data import training_normalisation

    jets = example_jets(jets=1400, seed=3)
    write(folder / "all.h5", jets)
    constants = training_normalisation(folder / "all.h5", 8)
    (folder / "all.h5").unlink()
    jets = dataclasses.replace(jets, normalisation=constants)
    for shard in range(2):
        part = jets.select(torch.arange(700 * shard, 700 * (shard + 1)).numpy())
        write(folder / f"{shard}.h5", part)
    return folder


@pytest.mark.parametrize("ragged", (False, True))
def test_a_training_from_disk_learns(folder: Path, ragged: bool) -> None:
    data = streamed_data(folder, constituents=8, features=FEATURES, min_pt_gev=0.0, ragged=ragged)
    assert len(data.train) + len(data.validation) < 1400
    recipe = Recipe(epochs=6, batch_size=64, learning_rate=5e-3, seed=2)
    first, second = (train(data, preset("tiny", features=3, classes=5), recipe=recipe) for _ in range(2))
    assert first.validation_accuracy > 0.5  # chance is 0.2
    assert first.history == second.history


def test_streamed_jets_are_those_in_memory(folder: Path) -> None:
    streamed = streamed_data(folder / "0.h5", constituents=8, features=FEATURES, min_pt_gev=2.0, ragged=False)
    held = tagging_data(folder / "0.h5", constituents=8)
    ((x, mask, labels),) = streamed.validation.batches(1000)
    assert torch.equal(mask, held.validation.mask)
    assert torch.equal(labels, held.validation.labels)
    scale, shift = (torch.tensor(getattr(held.inputs, name)) for name in ("std", "mean"))
    other_scale, other_shift = (torch.tensor(getattr(streamed.inputs, name)) for name in ("std", "mean"))
    physical = (held.validation.x * scale + shift)[mask]
    torch.testing.assert_close(
        (x * other_scale + other_shift)[mask].float(), physical.float(), rtol=1e-4, atol=1e-4
    )


def run(arguments: list[str], processes: int) -> None:
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    prefix = [] if processes == 1 else launcher
    subprocess.run(
        [sys.executable, *prefix, "-m", "jetformer_model", *arguments],
        check=True,
        capture_output=True,
        timeout=120,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )


@pytest.mark.parametrize("norm", ("batch", "layer"))
def test_two_processes_train_as_one_does(folder: Path, tmp_path: Path, norm: str) -> None:
    """640 jets: every batch splits evenly, so that losses differ by rounding alone."""
    write(tmp_path / "jets.h5", example_jets(jets=900, seed=5))
    losses = {}
    for processes in (1, 2):
        out = tmp_path / f"{processes}.safetensors"
        arguments = ["train", str(tmp_path / "jets.h5"), "--out", str(out), "--epochs", "2", "--norm", norm]
        run([*arguments, "--batch-size", "128", "--device", "cpu", "--seed", "4"], processes)
        with out.with_suffix(".csv").open() as file:
            rows = list(csv.DictReader(file))
        losses[processes] = [float(row[key]) for row in rows for key in ("training_loss", "validation_loss")]
        assert load(out).provenance["processes"] == processes
    assert losses[2] == pytest.approx(losses[1], rel=2e-3)
    assert losses[2] != losses[1]  # else the second process did nothing


def test_two_processes_share_files(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "streamed.safetensors"
    arguments = ["train", str(folder / "*.h5"), "--out", str(out), "--epochs", "3", "--batch-size", "32"]
    run([*arguments, "--device", "cpu", "--learning-rate", "5e-3"], 2)
    assert load(out).metrics["validation_accuracy"] > 0.5
