import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from jetformer_model.state import load
from jetformer_model.taggers.linformer import Linformer


def train(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "jetformer_model", "train", *(str(argument) for argument in arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_written_configuration_trains_the_same_network(jets_file: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first.safetensors", tmp_path / "second.safetensors"
    settings = (
        jets_file,
        "--preset",
        "deep-sets",
        "--epochs",
        2,
        "--scheduler",
        "cosine",
        "--clip-norm",
        0.5,
    )
    written = train(*settings, "--out", first, "--write-config", tmp_path / "train.toml")
    assert written.returncode == 0, written.stderr
    assert not first.exists()
    assert tomllib.loads((tmp_path / "train.toml").read_text())["clip-norm"] == 0.5
    assert train(*settings, "--out", first).returncode == 0
    again = train("--config", tmp_path / "train.toml", "--out", second, "--tensorboard", tmp_path / "board")
    assert again.returncode == 0, again.stderr
    before, after = load(first), load(second)
    assert before.metrics == after.metrics
    assert after.provenance["options"]["out"] == str(second)  # the command line wins
    assert (tmp_path / "first.csv").read_text() == (tmp_path / "second.csv").read_text()
    assert list((tmp_path / "board").glob("events.*"))


def test_sizes_replace_those_of_the_preset(jets_file: Path, tmp_path: Path) -> None:
    sizes = ("--blocks", 2, "--embed-dim", 12, "--heads", 3, "--feedforward-ratio", 5, "--dropout", 0.25)
    trained = train(jets_file, *sizes, "--epochs", 1, "--out", tmp_path / "a.safetensors")
    assert trained.returncode == 0, trained.stderr
    found = load(tmp_path / "a.safetensors").architecture
    assert (found.attention_dims, found.feedforward_dims) == ((12, 12), (60, 60))
    assert (found.embed_dim, found.heads, found.dropout, found.constituents) == (12, 3, 0.25, 8)

    linear = ("--preset", "jetformer-linformer", "--constituents", 7, "--norm", "batch")
    trained = train(jets_file, *sizes, *linear, "--epochs", 1, "--out", tmp_path / "b.safetensors")
    assert trained.returncode == 0, trained.stderr
    tagger = load(tmp_path / "b.safetensors").network
    assert isinstance(tagger, Linformer)
    assert [tuple(block.expand.weight.shape) for block in tagger.blocks] == [(60, 12), (60, 12)]
    assert tagger.sizes["dropout"] == 0.25

    other = train(
        jets_file, "--preset", "deep-sets", "--feedforward-ratio", 5, "--out", tmp_path / "c.safetensors"
    )
    assert other.returncode == 1
    assert "--feedforward-ratio is no option of deep-sets" in other.stderr


@pytest.mark.parametrize(
    ("content", "sentence"),
    (
        ("batchsize = 3", "unknown option 'batchsize'"),
        ("epochs = ", "not a readable TOML file"),
    ),
)
def test_a_bad_configuration_is_one_sentence(content: str, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "train.toml").write_text(content)
    result = train("--config", tmp_path / "train.toml")
    assert result.returncode == 1
    assert sentence in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_killed_training_of_other_settings_is_kept(jets_file: Path, tmp_path: Path) -> None:
    out, partial = tmp_path / "state.safetensors", tmp_path / "state.safetensors.partial"
    command = ["train", str(jets_file), "--out", str(out), "--epochs", "3000", "--patience", "3000"]
    process = subprocess.Popen(
        [sys.executable, "-m", "jetformer_model", *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    while not partial.exists():
        assert process.poll() is None
    process.kill()
    process.communicate()
    refused = train(jets_file, "--out", out, "--epochs", 2)
    assert refused.returncode == 1
    assert "left by a training with other settings" in refused.stderr
    anew = train(jets_file, "--out", out, "--epochs", 2, "--no-resume")
    assert anew.returncode == 0, anew.stderr
    assert not partial.exists()
