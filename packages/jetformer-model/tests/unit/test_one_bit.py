import dataclasses
import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch.nn import functional

from jetformer_model.commands.summary import summarise
from jetformer_model.config import preset
from jetformer_model.errors import ModelError, StateError
from jetformer_model.flops import flops, parameters
from jetformer_model.network import JetFormer
from jetformer_model.one_bit import SCALES, SIGNS, BitLinear, OneBit, OneBitJetFormer, eight_bits
from jetformer_model.onnx_export import export
from jetformer_model.state import check, load, save
from jetformer_model.testing import (
    SMALL,
    StateReaderContract,
    StateWriterContract,
    example_batch,
    example_one_bit_state,
    example_state,
)

FORMS = (OneBit(), OneBit(power_of_two=True), OneBit(normalise=True))
each_form = pytest.mark.parametrize("form", FORMS, ids=("paper", "shifts", "bitnet"))


def test_the_equations_by_hand() -> None:
    layer = BitLinear(3, 2, bias=True, form=OneBit())
    layer.load_state_dict(
        {"weight": torch.tensor([[0.5, -0.1, 0.3], [0.2, 0.0, 0.3]]), "bias": torch.tensor([1.0, -1.0])}
    )
    # mean 0.2, mean of absolute values 1.4 / 6
    beta = 1.4 / 6
    signs = torch.tensor([[1.0, -1, 1], [1, -1, 1]])
    torch.testing.assert_close(layer.binary_weight(), beta * signs)
    x = torch.tensor([[1.27, 0.444, -0.016]])  # steps of 0.01
    expected = functional.linear(torch.tensor([[1.27, 0.44, -0.02]]), beta * signs, torch.tensor([1.0, -1.0]))
    torch.testing.assert_close(layer(x), expected)


def test_scales_are_powers_of_two_where_wanted() -> None:
    layer = BitLinear(7, 5, bias=False, form=OneBit(power_of_two=True))
    assert float(layer.binary()[1].log2()) % 1 == 0
    x = torch.tensor([[0.3, -1.0, 0.123]])
    steps = eight_bits(x, power_of_two=True) * 2**6  # 1 / 127 is a little less than 2**-6
    torch.testing.assert_close(steps, steps.round())
    assert (eight_bits(x, power_of_two=True) - x).abs().max() <= 2**-7


def test_a_form_that_normalises_does_not_feel_the_size_of_its_input() -> None:
    torch.manual_seed(1)
    x = torch.randn(5, 7)
    bitnet, plain = (BitLinear(7, 3, bias=False, form=OneBit(normalise=n)) for n in (True, False))
    torch.testing.assert_close(bitnet(100 * x), bitnet(10 * x), rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(plain(100 * x), 10 * plain(10 * x), rtol=1e-3, atol=1e-4)


def test_gradients_pass_as_if_nothing_were_rounded() -> None:
    layer = BitLinear(3, 2, bias=False, form=OneBit())
    x = torch.tensor([[1.0, -0.5, 0.25]], requires_grad=True)
    layer(x).sum().backward()
    torch.testing.assert_close(layer.weight.grad, eight_bits(x).detach().expand(2, 3))
    torch.testing.assert_close(x.grad, layer.binary_weight().detach().sum(0)[None])


def test_zeros_stay_zeros() -> None:
    assert torch.equal(eight_bits(torch.zeros(2, 3)), torch.zeros(2, 3))


@each_form
def test_a_jet_is_answered_alone_as_in_a_batch_and_padding_is_not_read(form: OneBit) -> None:
    network = example_one_bit_state(form).network
    x, mask = example_batch(11)
    alone = torch.cat([network(x[j : j + 1], mask[j : j + 1]) for j in range(11)])
    torch.testing.assert_close(network(x, mask), alone, rtol=1e-4, atol=1e-4)
    junk = torch.where(mask.unsqueeze(-1), x, 7.0)
    assert torch.equal(network(junk, mask), network(x, mask))


@torch.no_grad()
@each_form
def test_a_file_holds_one_bit_a_weight_and_the_same_answers(form: OneBit, tmp_path: Path) -> None:
    state, path = example_one_bit_state(form), tmp_path / "bits.safetensors"
    save(path, state)
    tensors = load_file(path)
    weights = sum(layer.weight.numel() for layer in state.network.bit_layers().values())
    assert weights == 4 * 6 * 6 + 4 * 6 * 4 + 2 * 6 * 12 + 2 * 6 * 7
    assert tensors[SIGNS].dtype == torch.uint8
    assert tensors[SIGNS].shape == (
        sum(-(-n // 8) for n in (36, 36, 36, 36, 24, 24, 24, 24, 72, 72, 42, 42)),
    )
    assert tensors[SCALES].shape == (12,)
    assert not [name for name in tensors if name.endswith(("q.weight", "contract.weight", "output.weight"))]
    loaded = load(path)
    assert (loaded.kind, loaded.network.form) == ("one_bit", form)
    batch = example_batch(40)
    assert torch.equal(loaded.network(*batch), state.network(*batch))
    assert torch.equal(state.network.freeze()(*batch), loaded.network(*batch))


def test_signs_lie_as_the_page_says(tmp_path: Path) -> None:
    """Row by row, the first in the highest bit; a matrix begins at a byte; in a block q, k, v, output, expand, contract."""
    state = example_one_bit_state()
    save(tmp_path / "bits.safetensors", state)
    signs = load_file(tmp_path / "bits.safetensors")[SIGNS]
    k = state.network.blocks[0].attention.k
    expected = "".join("1" if sign else "0" for sign in k.binary()[0].flatten().tolist())
    found = "".join(f"{byte:08b}" for byte in signs[5:10].tolist())
    assert found == expected.ljust(40, "0")


def test_a_layer_whose_weights_are_all_alike_survives(tmp_path: Path) -> None:
    state = example_one_bit_state()
    state.network.blocks[0].attention.q.weight.data.fill_(-0.25)  # sign(0) is 1
    save(tmp_path / "bits.safetensors", state)
    loaded = load(tmp_path / "bits.safetensors").network.blocks[0].attention.q
    assert torch.equal(loaded.binary_weight(), torch.full((6, 6), 0.25))


@torch.no_grad()
def test_plain_weights_differ_by_the_rounding_of_activations_alone() -> None:
    network = example_one_bit_state().network
    plain = network.plain()
    assert type(plain) is JetFormer
    torch.testing.assert_close(plain.blocks[1].feedforward.expand.weight.abs().std(), torch.tensor(0.0))
    batch = example_batch(40)
    difference = (plain(*batch) - network(*batch)).abs().max()
    assert 0 < difference < 0.3
    with pytest.raises(ModelError, match="normalises"):
        example_one_bit_state(OneBit(normalise=True)).network.plain()


def test_its_counts_are_those_of_its_float_form(tmp_path: Path) -> None:
    found = summarise(example_one_bit_state())
    assert found["kind"] == "one_bit"
    assert (found["flops"], found["parameters"]) == (flops(SMALL), parameters(SMALL))


def test_exported_it_answers_the_same(tmp_path: Path) -> None:
    runtime = pytest.importorskip("onnxruntime")
    state, graph = tmp_path / "bits.safetensors", tmp_path / "bits.onnx"
    save(state, example_one_bit_state())
    export(state, graph, output="logits", normalised=True)
    x, mask = example_batch(30)
    found = runtime.InferenceSession(str(graph)).run(None, {"constituents": x.numpy(), "mask": mask.numpy()})
    with torch.no_grad():
        expected = load(state).network(x, mask)
    # where x / s lies half-way, another order of sums rounds the other way: a step of 1 / 127
    assert torch.isclose(torch.from_numpy(found[0]), expected, atol=1e-3).float().mean() > 0.9
    torch.testing.assert_close(torch.from_numpy(found[0]), expected, rtol=0.05, atol=0.05)


def test_a_150p_network_shrinks_by_93_percent_on_disk(tmp_path: Path) -> None:
    shape = preset("150p", features=3, classes=5, constituents=8)
    state = example_state(shape)
    save(tmp_path / "float.safetensors", state)
    save(tmp_path / "bits.safetensors", dataclasses.replace(state, network=OneBitJetFormer(shape)))
    before, after = ((tmp_path / f"{name}.safetensors").stat().st_size for name in ("float", "bits"))
    assert after < 0.07 * before


class TestWriter(StateWriterContract):
    def write_state(self, path: Path) -> None:
        save(path, example_one_bit_state())


class TestReader(StateReaderContract):
    expected_error = StateError

    def use_state(self, path: Path) -> None:
        check(path)


@pytest.mark.parametrize(
    ("key", "change", "reason"),
    (
        (SIGNS, lambda t: t[1:].clone(), r"one_bit.signs.*expected"),
        (SCALES, lambda t: t.double(), r"one_bit.scales.*expected"),
        (SIGNS, None, r"one_bit.signs' is missing"),
    ),
)
def test_files_with_other_bits_are_refused(key: str, change, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "bits.safetensors"
    save(path, example_one_bit_state())
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
    tensors = load_file(path)
    found = tensors.pop(key)
    save_file(tensors if change is None else tensors | {key: change(found)}, path, metadata)
    with pytest.raises(StateError, match=reason):
        load(path)


def test_a_header_without_its_form_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bits.safetensors"
    save(path, example_one_bit_state())
    with safe_open(path, "pt") as file:
        header = json.loads(file.metadata()["jetformer"])
    del header["one_bit"]
    save_file(load_file(path), path, {"jetformer": json.dumps(header)})
    with pytest.raises(StateError, match="one_bit"):
        load(path)
