"""What leaves the circuit: the class index and log-probabilities, behind the same logits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from jetformer_data import schema
from jetformer_fpga import answers, emulation, project, reference, state, vectors, verification
from jetformer_fpga.errors import FpgaError
from jetformer_fpga.fixed_point import Codes, Format


@pytest.fixture
def plain(small_state: Path) -> state.State:
    return state.read(small_state)


def of(plain: state.State, output: str, codes: Codes) -> Codes:
    return answers.of_logits(plain, answers.answering(plain, output), codes)


def test_the_lowest_index_wins(plain: state.State) -> None:
    """Logits of five formats; ties between classes on different grids."""
    fmt = plain.formats["logits"]
    values = np.array(
        [[3, 1, 3, 0, 3], [-4, -2, -2, -4, -4], [0, 0, 0, 0, 0], [-4, -4, -4, -4, 5.0], [1, 2, 3, 4, 4]]
    )
    codes = np.ldexp(values, fmt.f).astype(np.int64)
    np.testing.assert_array_equal(of(plain, "argmax", codes)[:, 0], [0, 1, 0, 4, 3])


def test_argmax_tells_the_smallest_difference(plain: state.State, rng: np.random.Generator) -> None:
    formats = replace(plain, formats=plain.formats | {"logits": Format.of((1, 3, 4))})
    codes = rng.integers(-3, 3, size=(500, 5))
    np.testing.assert_array_equal(of(formats, "argmax", codes)[:, 0], codes.argmax(axis=1))


def test_log_probabilities_are_near_the_exact_ones(plain: state.State, rng: np.random.Generator) -> None:
    fmt = plain.formats["logits"]
    codes = rng.integers(fmt.spread((500, 5)).low, fmt.spread((500, 5)).high + 1)
    z = fmt.value(codes)
    exact = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
    found = (
        answers.answering(plain, "log-probabilities")
        .formats["logits"]
        .value(of(plain, "log-probabilities", codes))
    )
    assert np.abs(found - exact).max() < 0.03


@pytest.mark.parametrize("output", ("argmax", "log-probabilities"))
def test_all_implementations_agree(output: str, plain: state.State, jets: Path, own_cache: Path) -> None:
    loaded = answers.answering(plain, output)
    asked = vectors.of_file(loaded, jets, "all", 50)[0] + vectors.corners(loaded)
    expected = reference.logits(loaded, asked.x, asked.mask)
    logits = reference.logits(plain, asked.x, asked.mask)
    np.testing.assert_array_equal(answers.of_logits(plain, loaded, logits), expected)
    np.testing.assert_array_equal(emulation.Emulator(loaded)(asked.x, asked.mask), expected)


@pytest.mark.usefixtures("simulator")
def test_a_circuit_that_gives_the_class(small_state: Path, jets: Path, tmp_path: Path) -> None:
    firmware = project.synth(small_state, tmp_path / "fw", output="argmax", measure_resources=False)
    result = verification.verify(firmware.folder, jets, split="all", jets=100)
    assert result.passed
    given = load_file(str(firmware.folder / "answers.safetensors"))
    right = given["class_index"][:, 0] == schema.read(jets).labels[given["jet_index"]]
    assert result.accuracy == pytest.approx(right.mean())
    assert firmware.ports.answers.name == "class_index"
    assert "output wire [2:0] class_index" in (firmware.verilog / "jetformer.v").read_text()
    assert ".class_index(logits)" in (firmware.verilog / "jetformer_axis.v").read_text()


def test_an_unknown_output_is_a_sentence(small_state: Path, tmp_path: Path) -> None:
    with pytest.raises(FpgaError, match="expected one of logits, argmax, log-probabilities"):
        project.synth(small_state, tmp_path / "fw", output="softmax")
