"""Allo programs without Allo: executed from their text, equal to the numpy reference in every bit, within declared types."""

from __future__ import annotations

import ast
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from jetformer_fpga import reference, state
from jetformer_fpga.allo import Program, interpret, program
from jetformer_fpga.allo.examples import examples
from jetformer_fpga.allo.indexing import coordinate
from jetformer_fpga.allo.jets import asked
from jetformer_fpga.errors import FpgaError
from jetformer_fpga.sketch import Sketch
from jetformer_fpga.testing import NETWORKS

JETS = 300


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return examples(tmp_path_factory.mktemp("examples"))


def check(read: state.State) -> Program:
    """Bit-exact, and nothing is cut on the way."""
    made, jets = program(read), asked(read, JETS)
    expected = reference.logits(read, jets.x, jets.mask)
    found, overflows = interpret(made, jets.x, jets.mask)
    np.testing.assert_array_equal(found, expected)
    assert overflows == []
    assert len(np.unique(expected, axis=0)) > JETS // 4
    return made


@pytest.mark.parametrize("name", ("tiny", "pruned tiny", "1-bit tiny", "mlp", "trigger"))
def test_example(paths: dict[str, Path], name: str) -> None:
    check(state.read(paths[name]))


@pytest.mark.parametrize("name", tuple(NETWORKS))
def test_every_kind_of_network(name: str, tmp_path: Path) -> None:
    sketch = Sketch(seed=21, constituents=4, features=5)
    NETWORKS[name](sketch)
    check(state.read(sketch.write(tmp_path / "s.safetensors")))


def test_formats_that_differ_from_constituent_to_constituent(tmp_path: Path) -> None:
    """Inputs and quantisers move to the grid that a channel's rows share; one number never has any bits."""
    s = Sketch(seed=4, constituents=3, features=2)
    kif = np.array([[[1, 2, 3], [1, 1, 5]], [[1, 2, 1], [1, 3, 2]], [[0, 0, 0], [0, 2, 2]]])
    x = s.features(kif)
    y = s.quantise(
        "rows", s.op("add", "sum", x, s.parameter("offset", [[0.5], [0.25], [-0.75]], (1, 1, 3))), kif[::-1]
    )
    s.quantise("logits", s.linear("head", s.op("reshape", "flat", y, shape=[6]), s.classes), (1, 4, 3))
    check(state.read(s.write(tmp_path / "s.safetensors")))


def test_tokens_share_weights_though_a_number_of_one_is_always_zero(tmp_path: Path) -> None:
    """A class token's ReLU may be 0 in some channels, whatever the jet, here in the one of the finest steps: the weights are
    those of other tokens."""
    s = Sketch(seed=4, constituents=3, features=2)
    first = s.parameter("class_token", [[-0.5, 0.25]], (1, 1, 4))
    own = s.quantise("own", s.features(), np.array([[1, 2, 5], [1, 2, 3]]))
    tokens = s.op("concatenate", "tokens", first, own, axis=0)
    x = s.linear("mixed", s.op("relu", "live", tokens), 3, bias=False)
    rows = s.op("reshape", "flat", s.quantise("rows", x, (1, 3, 3)), shape=[12])
    s.quantise("logits", s.linear("head", rows, s.classes), (1, 4, 3))
    made = check(state.read(s.write(tmp_path / "s.safetensors")))
    assert "rows_weight: int8[3, 2] = " in made.text


def test_matrices_of_one_bit_have_scales_of_their_own(paths: dict[str, Path]) -> None:
    """One product a row after the sum; a number of one bit stays a power of two."""
    read = state.read(paths["1-bit tiny"])
    signs = [name for name in read.tensors if name.endswith("signs.weight")]
    assert len(signs) == 4 * 6
    made = program(read).text
    for name in signs:
        assert set(np.unique(read.tensors[name].codes)) == {-1, 1}
    assert re.search(r"total \+= .*\n +product: int\d+ = total \* \w+_value\[j\]\n", made)


def test_odd_sizes(odd_state: state.State) -> None:
    made = check(odd_state)
    assert [argument.shape for argument in made.arguments] == [(5, 3), (5,), (5,)]


def test_a_perceptron_needs_no_mask(paths: dict[str, Path]) -> None:
    assert [argument.name for argument in program(state.read(paths["mlp"])).arguments] == [
        "features",
        "logits",
    ]


def test_the_top_is_a_dataflow(paths: dict[str, Path]) -> None:
    """Arrays and calls alone; each array is filled by one kernel and read by one; constants have names of their own."""
    made = program(state.read(paths["tiny"]))
    tree = ast.parse(made.text)
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    calls = [
        s.value for s in functions["top"].body if isinstance(s, ast.Expr) and isinstance(s.value, ast.Call)
    ]
    declared = [s.target.id for s in functions["top"].body if isinstance(s, ast.AnnAssign)]  # type: ignore[union-attr]
    assert len(calls) + len(declared) == len(functions["top"].body)
    passed = [argument.id for call in calls for argument in call.args]  # type: ignore[attr-defined]
    assert all(passed.count(name) == 2 for name in declared)
    constants = [s.targets[0].id for s in tree.body if isinstance(s, ast.Assign)]  # type: ignore[attr-defined]
    assert len(constants) == len(set(constants))


def test_the_schedule_names_what_is_there(paths: dict[str, Path]) -> None:
    made = program(state.read(paths["tiny"]))
    functions = {node.name: node for node in ast.parse(made.text).body if isinstance(node, ast.FunctionDef)}
    for kernel, loop in made.pipelined:
        loops = [n.target.id for n in ast.walk(functions[kernel]) if isinstance(n, ast.For)]  # type: ignore[attr-defined]
        assert loops.count(loop) == 1
    arrays = {s.target.id: s.annotation for s in functions["top"].body if isinstance(s, ast.AnnAssign)}  # type: ignore[union-attr]
    for array, axis in made.partitioned:
        shape = ast.literal_eval(arrays[array].slice)  # type: ignore[attr-defined]
        assert (shape if isinstance(shape, tuple) else (shape,))[axis - 1] > 1
    assert ("make_tokens", "i") in made.pipelined
    assert ("tokens_to_sequence", 2) in made.partitioned
    assert len(made.partitioned) == len(set(made.partitioned))


def planted(made: Program, old: str, new: str) -> Program:
    assert old in made.text
    return replace(made, text=made.text.replace(old, new, 1))


def test_an_overflow_is_noticed_where_it_happens(odd_state: state.State) -> None:
    jets, made = asked(odd_state, 50), program(odd_state)
    narrow = planted(made, "half_up: int16 = total", "half_up: int8 = total")
    _, overflows = interpret(narrow, jets.x, jets.mask)
    assert overflows
    assert {found.bits for found in overflows} == {8}
    line = narrow.text.splitlines()[overflows[0].line - 1]
    assert "half_up: int8" in line


def test_a_shift_keeps_its_type(odd_state: state.State) -> None:
    """As in Allo: what is shifted must be wide before."""
    jets, made = asked(odd_state, 50), program(odd_state)
    wide = next(line.strip() for line in made.text.splitlines() if " wide: int16" in line)
    found, overflows = interpret(planted(made, wide, wide.replace("int16", "int8")), jets.x, jets.mask)
    assert overflows
    assert (found != reference.logits(odd_state, jets.x, jets.mask)).any()


@pytest.mark.parametrize(
    ("old", "new", "words"),
    (
        ("dtype=np.int8", "dtype=np.int16", "constants of int16"),
        ("tokens_to_sequence: int8[5, 7]\n", "tokens_to_sequence: int16[5, 7]\n", "an array int16"),
        ("= features[i, j]", "= features[i + 3, j]", "outside an array"),
        ("= features[i, j]", "= features[i]", "read at 1 coordinates"),
    ),
)
def test_what_allo_would_refuse(odd_state: state.State, old: str, new: str, words: str) -> None:
    jets, made = asked(odd_state, 20), program(odd_state)
    with pytest.raises(FpgaError, match=words):
        interpret(planted(made, old, new), jets.x, jets.mask)


def test_a_wrong_weight_is_seen(odd_state: state.State) -> None:
    jets, made = asked(odd_state, 50), program(odd_state)
    found, _ = interpret(
        planted(made, "total += tokens_weight[j, k]", "total += tokens_weight[j, 0]"), jets.x, jets.mask
    )
    assert (found != reference.logits(odd_state, jets.x, jets.mask)).any()


def test_coordinates() -> None:
    flat = np.arange(24)
    assert coordinate(flat // 3, ("j",)) == "j // 3"
    assert coordinate(flat % 3, ("j",)) == "j % 3"
    assert coordinate(flat.reshape(2, 3, 4) + 5, ("h", "i", "j")) == "12 * h + 4 * i + j + 5"
    assert coordinate(flat // 2 % 3, ("j",)) == "j // 2 % 3"
    assert coordinate(np.array([[0, 1], [1, 0]]), ("i", "j")) is None
    assert coordinate(np.zeros((1, 2), dtype=np.int64), ("0", "j")) == "0"
