import csv
import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from jetformer_compress.cli import main
from jetformer_model.dataset import TaggingData
from jetformer_model.state import State, load, save
from jetformer_model.taggers import build, flops
from jetformer_model.testing import SMALL, example_state


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "jetformer_compress", *(str(argument) for argument in arguments)]


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*arguments), capture_output=True, text=True, check=False)


Refusal = Callable[..., str]


@pytest.fixture
def refusal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Refusal:
    """What a command says when it refuses its arguments."""

    def refused(*arguments: object) -> str:
        monkeypatch.setattr(sys, "argv", ["jetformer-compress", *(str(argument) for argument in arguments)])
        with pytest.raises(SystemExit) as stopped:
            main()
        assert stopped.value.code == 1
        sentence = capsys.readouterr().err
        assert sentence.startswith("jetformer-compress: ")
        assert sentence.count("\n") == 1
        return sentence

    return refused


def test_prune_then_quantize(trained_file: Path, jets_file: Path, tmp_path: Path) -> None:
    pruned, fixed = tmp_path / "pruned.safetensors", tmp_path / "fixed.safetensors"
    result = run("prune", trained_file, jets_file, "--out", pruned, "--steps", 2, "--epochs", 1)
    assert result.returncode == 0, result.stderr
    assert "26,168 -> 13,784" in result.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pruned.csv", "pruned.safetensors"]
    result = run("quantize", pruned, jets_file, "--out", fixed, "--epochs", 1, "--json")
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["flops"] == 13784
    state = load(fixed)
    assert state.kind == "fixed_point"
    assert state.provenance["quantize"]["settings"]["widths"]["weights"] == 6
    step = state.provenance["prune"]
    assert [found["flops"] for found in step["settings"]["steps"]] == [19976, 13784]
    before, after, difference = (step["test"][name] for name in ("before", "after", "difference"))
    assert difference["accuracy"] == pytest.approx(after["accuracy"] - before["accuracy"], abs=2e-6)
    assert after["interval"][0] < after["accuracy"] < after["interval"][1]


def test_the_plan_alone_is_free(trained_file: Path, jets_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "pruned.safetensors"
    result = run(
        "prune", trained_file, jets_file, "--target-flops", 13784, "--out", out, "--dry-run", "--json"
    )
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    assert found["before"]["flops"] == 26168
    assert found["after"]["flops"] == 13784
    assert found["after"]["parameters"] == 1349
    assert found["after"]["attention_dims"] == [4, 4, 4, 4]
    assert not list(tmp_path.iterdir())


def test_killed_outright_it_goes_on(trained_file: Path, jets_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "pruned.safetensors"
    arguments = (
        "prune",
        trained_file,
        jets_file,
        "--out",
        out,
        "--steps",
        2,
        "--epochs",
        30,
        "--batch-size",
        64,
    )
    first = subprocess.Popen(command(*arguments), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    partial = tmp_path / "pruned.safetensors.partial" / "step1.partial"
    deadline = time.monotonic() + 120
    while not partial.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    kept = partial.stat().st_mtime_ns
    assert not out.exists()
    other = run(*arguments[:-1], 128)
    assert other.returncode == 1
    assert "other settings" in other.stderr
    assert partial.stat().st_mtime_ns == kept
    again = run(*arguments, "--keep-steps")
    assert again.returncode == 0, again.stderr
    names = ["pruned.csv", "pruned.safetensors", "pruned.step1.safetensors", "pruned.step2.safetensors"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    assert load(tmp_path / names[2]).architecture.feedforward_dims == (12,) * 4


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    (
        (("--ratio", "1.5"), "between 0 and 1, got 1.5"),
        (("--steps", "0"), "at least 1, got 0"),
        (("--scope", "world"), "one of layer, global"),
        (("--target-flops", "99999"), "26,168 already"),
        (("--device", "abacus"), "'abacus': cannot be used"),
        (("--target-flops", "99", "--ratio", "0.5"), "give one of them"),
    ),
)
def test_bad_settings_are_one_sentence(
    arguments: tuple[str, ...],
    sentence: str,
    trained_file: Path,
    jets_file: Path,
    tmp_path: Path,
    refusal: Refusal,
) -> None:
    assert sentence in refusal("prune", trained_file, jets_file, "--out", tmp_path / "x", *arguments)
    assert not list(tmp_path.iterdir())


def test_data_of_other_features_or_classes_are_one_sentence(
    jets_file: Path, tmp_path: Path, refusal: Refusal
) -> None:
    state = example_state(dataclasses.replace(SMALL, constituents=8))
    path, out = tmp_path / "state.safetensors", tmp_path / "out.safetensors"
    inputs = dataclasses.replace(state.inputs, features=("pt", "charge", "phirel"))
    save(path, dataclasses.replace(state, inputs=inputs))
    assert "charge" in refusal("prune", path, jets_file, "--out", out)
    save(path, dataclasses.replace(state, class_names=("a", "b", "c", "d", "e")))
    assert "classes" in refusal("prune", path, jets_file, "--out", out)


def test_binarize_then_evaluate(trained_file: Path, jets_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "bits.safetensors"
    result = run("binarize", trained_file, jets_file, "--warm-start", "--epochs", 2, "--out", out, "--json")
    assert result.returncode == 0, result.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bits.csv", "bits.safetensors"]
    found = json.loads(result.stdout)
    assert found["kilobytes"] == out.stat().st_size / 1024
    state = load(out)
    assert state.kind == "one_bit"
    assert state.provenance["binarize"]["test"] == found["test"]
    assert state.provenance["binarize"]["settings"]["recipe"]["beta2"] == 0.98
    command_line = [sys.executable, "-m", "jetformer_model", "evaluate", out, jets_file, "--json"]
    done = subprocess.run([str(word) for word in command_line], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["accuracy"] == pytest.approx(found["test"]["after"]["accuracy"], abs=1e-6)


def test_networks_that_cannot_be_binarized_or_pruned_are_one_sentence(
    trained_file: Path, jets_file: Path, tmp_path: Path, refusal: Refusal
) -> None:
    from jetformer_model.one_bit import OneBitJetFormer

    bits, out = tmp_path / "bits.safetensors", tmp_path / "out.safetensors"
    state = example_state(dataclasses.replace(SMALL, constituents=8))
    save(bits, dataclasses.replace(state, network=OneBitJetFormer(state.architecture)))
    assert "one bit already" in refusal("binarize", bits, jets_file, "--out", out)
    assert "a one-bit network cannot be pruned" in refusal("prune", bits, jets_file, "--out", out)
    assert "from which weights" in refusal("binarize", jets_file, "--warm-start", "--out", out)
    assert "3 files" in refusal("binarize", bits, jets_file, jets_file, "--out", out)
    assert "one of tiny" in refusal("binarize", jets_file, "--preset", "huge", "--out", out)
    assert "charge" in refusal("binarize", jets_file, "--features", "pt,charge", "--out", out)


def test_a_front_of_learned_widths(trained_file: Path, jets_file: Path, tmp_path: Path) -> None:
    options = ("--ebops", 150_000, "--front", 2, "--epochs", 2, "--weights-share", "channel")
    result = run("quantize", trained_file, jets_file, "--out", tmp_path / "f.safetensors", *options)
    assert result.returncode == 0, result.stderr
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["f-1.csv", "f-1.safetensors", "f-2.csv", "f-2.safetensors", "f.front.csv"]
    wide, narrow = (load(tmp_path / f"f-{number}.safetensors") for number in (1, 2))
    assert narrow.metrics["ebops"] <= 150_000 < wide.metrics["ebops"]
    rows = list(csv.DictReader((tmp_path / "f.front.csv").read_text().splitlines()))
    assert [float(row["ebops"]) for row in rows] == [wide.metrics["ebops"], narrow.metrics["ebops"]]
    assert narrow.provenance["quantize"]["settings"]["ebops"] == 150_000
    assert f"{narrow.metrics['ebops']:,.0f}" in result.stdout


def test_a_quick_look_at_another_tagger(data: TaggingData, jets_file: Path, tmp_path: Path) -> None:
    network = build("jedi-linear", data.inputs, constituents=8, classes=5).eval()
    save(tmp_path / "s.safetensors", State(network, data.inputs, data.class_names))
    command = ("quantize", tmp_path / "s.safetensors", jets_file, "--post-training", "--json")
    result = run(*command, "--out", tmp_path / "fixed.safetensors")
    assert result.returncode == 0, result.stderr
    state = load(tmp_path / "fixed.safetensors")
    assert json.loads(result.stdout)["flops"] == flops(network) == flops(state.float_form)
    assert (state.name, state.kind, state.metrics["mean_weight_bits"]) == ("jedi-linear", "fixed_point", 6)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    (
        (("--front", "3"), "need --ebops"),
        (("--ebops", "-1"), "expected positive numbers"),
        (("--ebops", "9", "--post-training"), "nothing is trained"),
        (("--weights-share", "row"), "expected one of tensor, channel, element, got 'row'"),
    ),
)
def test_settings_of_quantize_that_cannot_be_are_one_sentence(
    arguments: tuple[str, ...],
    sentence: str,
    trained_file: Path,
    jets_file: Path,
    tmp_path: Path,
    refusal: Refusal,
) -> None:
    said = refusal("quantize", trained_file, jets_file, "--out", tmp_path / "x.safetensors", *arguments)
    assert said.count("\n") == 1
    assert sentence in said
    assert not list(tmp_path.iterdir())
