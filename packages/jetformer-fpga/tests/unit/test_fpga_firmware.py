"""From a state to simulated Verilog, and planted faults that verification must see."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from safetensors.numpy import load_file, save_file

from jetformer_data import schema
from jetformer_fpga import project, reference, simulation, vectors, verification
from jetformer_fpga.errors import FpgaError

pytestmark = pytest.mark.usefixtures("simulator")


@pytest.fixture(scope="module")
def answered(firmware: project.Project, jets: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The reference's logits of every jet, in the shape in which PyTorch's are handed over."""
    asked, positions = vectors.of_file(firmware.state, jets, "all", None)
    codes = reference.logits(firmware.state, asked.x, asked.mask)
    path = tmp_path_factory.mktemp("logits") / "logits.safetensors"
    save_file({"logits": firmware.state.formats["logits"].value(codes), "jet_index": positions}, str(path))
    return path


def test_the_circuit_is_the_network(firmware: project.Project, jets: Path, answered: Path) -> None:
    result = verification.verify(firmware.folder, jets, split="all", logits=answered)
    assert result.passed
    assert [leg.name for leg in result.legs] == ["PyTorch", "interpreter", "Verilog"]
    assert [leg.compared for leg in result.legs] == [300, 310, 310]
    assert result.latency_cycles == result.latency_by_answers == firmware.description["latency_cycles"]
    assert result.initiation_interval == 1
    stored = json.loads((firmware.folder / "verification.json").read_text())
    assert stored["mismatches"] == 0
    assert stored["verified_jets"] == 300
    given = load_file(str(firmware.folder / "answers.safetensors"))
    right = given["logits"].argmax(axis=1) == schema.read(jets).labels[given["jet_index"]]
    assert stored["accuracy"] == pytest.approx(right.mean())


def test_long_tasks_tell_how_far_they_are(firmware: project.Project, jets: Path, answered: Path) -> None:
    seen: dict[str, tuple[int, int]] = {}

    @contextmanager
    def task(name: str) -> Iterator[Callable[[int, int], None]]:
        yield lambda done, total: seen.update({name: (done, total)})

    verification.verify(firmware.folder, jets, split="all", logits=answered, again=True, task=task)
    assert seen["reference"] == (310, 310)
    cycles, total = seen["simulation"]
    assert cycles == total > 310


def test_wrong_answers_of_pytorch_are_seen(
    firmware: project.Project, jets: Path, answered: Path, tmp_path: Path
) -> None:
    from safetensors.numpy import load_file

    arrays = load_file(str(answered))
    arrays["logits"][7, 2] += 3.0
    save_file(arrays, str(tmp_path / "wrong.safetensors"))
    result = verification.verify(firmware.folder, jets, split="all", logits=tmp_path / "wrong.safetensors")
    assert not result.passed
    assert result.legs[0].mismatches == 1
    assert result.legs[0].first_mismatch.startswith("jet 7, logit W")
    arrays["logits"][7, 2] += 0.001
    save_file(arrays, str(tmp_path / "off.safetensors"))
    with pytest.raises(FpgaError, match="grid"):
        verification.verify(firmware.folder, jets, split="all", logits=tmp_path / "off.safetensors")


def test_without_pytorch_the_result_says_so(
    firmware: project.Project, jets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from jetformer_fpga import tools

    tools.verilator()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    result = verification.verify(firmware.folder, jets, jets=5)
    assert result.passed
    assert result.pytorch.startswith("not compared")
    assert len(result.legs) == 2


@pytest.mark.usefixtures("simulator")
@pytest.mark.parametrize("name", (simulation.BENCH, simulation.PORTS_HEADER))
def test_an_executable_is_known_by_its_bench(
    name: str, firmware: project.Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = simulation.fingerprint(firmware.verilog)
    package = Path(simulation.__file__).parent
    for file in (simulation.BENCH, simulation.PORTS_HEADER):
        (tmp_path / file).write_bytes((package / file).read_bytes())
    monkeypatch.setattr(simulation, "files", lambda package: tmp_path)
    assert simulation.fingerprint(firmware.verilog) == before
    (tmp_path / name).write_text("// another\n")
    assert simulation.fingerprint(firmware.verilog) != before
