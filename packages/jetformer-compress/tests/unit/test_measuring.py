import csv
import dataclasses
import json
import sys
from pathlib import Path

import pytest
import torch

from jetformer_compress import measuring
from jetformer_compress.cli import main
from jetformer_compress.held_out import RESAMPLES, compare
from jetformer_compress.measuring import measure, median_time
from jetformer_compress.measuring_table import as_table, draw, write_csv
from jetformer_compress.pruning_plan import Pruning, plan
from jetformer_model.dataset import open_split
from jetformer_model.network import JetFormer
from jetformer_model.one_bit import OneBitJetFormer
from jetformer_model.state import State, save
from jetformer_model.training import predict


@pytest.fixture
def files(trained: State, tmp_path: Path) -> list[Path]:
    networks = {
        "float": trained.network,
        "pruned": JetFormer(plan(trained.architecture, Pruning(0.5))),
        "bits": OneBitJetFormer(trained.architecture),
    }
    for name, network in networks.items():
        save(tmp_path / f"{name}.safetensors", dataclasses.replace(trained, network=network))
    return [tmp_path / f"{name}.safetensors" for name in networks]


def test_facts_of_networks_side_by_side(
    files: list[Path], jets_file: Path, trained: State, tmp_path: Path
) -> None:
    rows = list(measure(files, jets_file, batches=(1, 7), seconds=0.0))
    assert [row.name for row in rows] == ["float", "pruned", "bits"]
    assert [row.kind for row in rows] == ["float", "float", "one_bit"]
    assert [row.flops for row in rows] == [26168, 13784, 26168]
    assert [row.parameters for row in rows] == [2437, 1349, 2437]
    assert [row.bytes for row in rows] == [path.stat().st_size for path in files]
    assert [[one.batch for one in row.times] for row in rows] == [[1, 7]] * 3
    assert all(one.seconds > 0 and one.runs == measuring.FEWEST for row in rows for one in row.times)
    jets = open_split(jets_file, "test", trained.inputs, 8)
    expected = (predict(trained.network, jets).argmax(1) == jets.labels.numpy()).mean()
    accuracy = rows[0].accuracy
    assert accuracy is not None
    assert accuracy["accuracy"] == pytest.approx(expected, abs=1e-6)
    write_csv(rows, tmp_path / "table.csv")
    with (tmp_path / "table.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert [(line["network"], line["batch"]) for line in lines][:3] == [
        ("float", "1"),
        ("float", "7"),
        ("pruned", "1"),
    ]
    assert float(lines[3]["median_seconds"]) == rows[1].times[1].seconds
    assert as_table(rows).row_count == 7
    draw(rows, tmp_path / "picture.png")
    assert (tmp_path / "picture.png").stat().st_size > 10_000


def test_the_median_is_of_runs_after_the_warm_up(trained: State, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that counts its own calls squared: a run takes 2 n + 1."""
    ticks = iter(float(n * n) for n in range(10_000))
    monkeypatch.setattr(measuring.time, "perf_counter", lambda: next(ticks))
    found = median_time(trained, torch.device("cpu"), 3, seconds=0.0)
    assert found.runs == measuring.FEWEST
    assert found.seconds == 29.0  # runs 5 to 9, the middle one from tick 14 to 15
    assert found.microseconds_a_jet == pytest.approx(29e6 / 3)


def test_a_difference_is_better_known_than_its_parts(trained: State, jets_file: Path) -> None:
    worse = JetFormer(trained.architecture)
    worse.load_state_dict(trained.network.state_dict())
    worse.head.linear.bias.data[0] += 0.5
    found = compare(trained, dataclasses.replace(trained, network=worse.eval()), jets_file)
    assert found["resamples"] == RESAMPLES

    def width(name: str) -> float:
        low, high = found[name]["interval"]
        return float(high - low)

    assert width("difference") < width("after") + width("before")
    same = compare(trained, trained, jets_file)
    assert same["difference"] == {"accuracy": 0.0, "interval": [0.0, 0.0]}


def test_the_command(
    files: list[Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--batches", "1,5", "--seconds", "0", "--device", "cpu", "--json"]
    monkeypatch.setattr(sys, "argv", ["jetformer-compress", "bench", *map(str, files), *options])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 0
    found = json.loads(capsys.readouterr().out)
    assert [network["name"] for network in found["networks"]] == ["float", "pruned", "bits"]
    assert "threads" in found["devices"]["cpu"]
    assert found["networks"][0]["accuracy"] is None


@pytest.mark.parametrize(
    ("options", "reason"),
    (
        (("--batches", "1,many"), "numbers of jets"),
        (("--batches", "0"), "numbers of jets"),
        (("--device", "abacus"), "abacus"),
        (("--plot", "nowhere/x.png"), "no folder"),
    ),
)
def test_what_cannot_be_measured_is_one_sentence(
    options: tuple[str, ...],
    reason: str,
    files: list[Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", ["jetformer-compress", "bench", str(files[0]), *options])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 1
    said = capsys.readouterr().err
    assert reason in said
    assert said.count("\n") == 1
