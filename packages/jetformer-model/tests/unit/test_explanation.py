import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from jetformer_data.schema import read, write
from jetformer_data.testing import example_jets
from jetformer_model.dataset import Dataset, open_split
from jetformer_model.errors import ModelError
from jetformer_model.explanation import attention_of_jets, class_attention, first_of_each_class
from jetformer_model.network import Attention
from jetformer_model.state import State
from jetformer_model.taggers.registry import build
from jetformer_model.testing import SMALL, example_batch, example_fixed_point_state, example_state

STATE = example_state()
LAYERS = [module for module in STATE.network.modules() if isinstance(module, Attention)]


@pytest.fixture
def jets(tmp_path: Path) -> Dataset:
    write(tmp_path / "jets.h5", example_jets(jets=97, seed=5, empty=2))
    return open_split(tmp_path / "jets.h5", "all", STATE.inputs, SMALL.constituents)


def test_attention_times_values_is_what_the_network_computes() -> None:
    """Through v and the output layer, our weights give the class token what each attention layer gave it."""
    x, mask = example_batch(13)
    seen: dict[torch.nn.Module, torch.Tensor] = {}

    def keep(layer: torch.nn.Module, _: object, output: torch.Tensor) -> None:
        seen[layer] = output

    hooks = [layer.register_forward_hook(keep) for each in LAYERS for layer in (each, each.v)]
    attention = class_attention(STATE.network, x, mask)
    for hook in hooks:
        hook.remove()
    assert attention.shape == (13, SMALL.blocks, SMALL.heads, 1 + SMALL.constituents)
    for block, layer in enumerate(LAYERS):
        v = seen[layer.v].unflatten(-1, (SMALL.heads, -1))
        attended = torch.einsum("jht,jthc->jhc", attention[:, block], v).flatten(1)
        torch.testing.assert_close(layer.output(attended), seen[layer][:, 0])


def test_attention_sums_to_one_over_real_tokens() -> None:
    x, mask = example_batch(13)
    attention = class_attention(STATE.network, x, mask)
    torch.testing.assert_close(attention.sum(-1), torch.ones(13, SMALL.blocks, SMALL.heads))
    assert (attention.movedim(-1, 1)[:, 1:][~mask] == 0).all()
    assert (attention[~mask.any(1)][..., 0] == 1).all()


@pytest.mark.parametrize("fails", (False, True))
def test_no_hook_stays_behind(fails: bool) -> None:
    x, mask = example_batch(3)
    if fails:
        with pytest.raises(RuntimeError):
            class_attention(STATE.network, x[..., :1], mask)
    else:
        class_attention(STATE.network, x, mask)
    assert not any(module._forward_hooks for module in STATE.network.modules())


def test_jets_are_those_of_the_file(jets: Dataset, tmp_path: Path) -> None:
    stored = read(tmp_path / "jets.h5")
    for found in attention_of_jets(STATE, jets, [7, 1, 50]):
        rows = slice(stored.offsets[found.index], stored.offsets[found.index + 1])
        wanted = stored.constituents[rows][stored.constituents[rows][:, 0] >= 2][: SMALL.constituents]
        np.testing.assert_allclose(np.stack([found.pt, found.eta, found.phi], 1), wanted, atol=1e-4)
        assert found.label == stored.class_names[stored.labels[found.index]]
        assert found.own + found.attention.sum() == pytest.approx(1)
    assert found.jet == 50


def test_blocks_and_heads_are_chosen(jets: Dataset) -> None:
    everything = class_attention(STATE.network, jets.x[7:8], jets.mask[7:8])[0]
    real = jets.mask[7]
    for block, head, wanted in (
        (None, None, everything[-1].mean(0)),
        (0, None, everything[0].mean(0)),
        (0, 1, everything[0, 1]),
        (None, 0, everything[-1, 0]),
    ):
        (found,) = attention_of_jets(STATE, jets, [7], block, head)
        torch.testing.assert_close(found.attention, wanted[1:][real])
        assert found.own == pytest.approx(float(wanted[0]))


def test_a_jet_without_constituents_attends_to_its_class_token(jets: Dataset) -> None:
    (found,) = attention_of_jets(STATE, jets, [0])
    assert (found.own, len(found.attention), len(found.pt)) == (1, 0, 0)


def test_absolute_angles_are_shown_from_the_first_constituent() -> None:
    inputs = dataclasses.replace(STATE.inputs, features=("pt", "eta", "phi"), mean=(0.0,) * 3, std=(1.0,) * 3)
    x = torch.tensor([[[9.0, 1.0, 3.1], [8, 1.5, -3.1], [0, 0, 0], [0, 0, 0], [0, 0, 0]]])
    mask = torch.tensor([[True, True, False, False, False]])
    jets = Dataset(x, mask, torch.tensor([0]), torch.tensor([0]))
    (found,) = attention_of_jets(dataclasses.replace(STATE, inputs=inputs), jets, [0])
    torch.testing.assert_close(found.eta, torch.tensor([0.0, 0.5]))
    torch.testing.assert_close(found.phi, torch.tensor([0.0, 2 * torch.pi - 6.2]))


def test_first_of_each_class() -> None:
    assert first_of_each_class(torch.tensor([2, 0, 2, 0, 0]), 2) == [1, 3, 0, 2]
    assert first_of_each_class(torch.tensor([2, 0]), 0) == []


@pytest.mark.parametrize(
    ("chosen", "block", "head", "sentence"),
    (
        ([97], None, None, "jet 97: expected a number from 0 to 96"),
        ([-1], None, None, "jet -1"),
        ([1], 2, None, "block 2: expected a number from 0 to 1"),
        ([1], 0, -1, "head -1: expected a number from 0 to 1"),
    ),
)
def test_what_is_not_there_is_refused(
    chosen: list[int], block: int | None, head: int | None, sentence: str, jets: Dataset
) -> None:
    with pytest.raises(ModelError, match=sentence):
        attention_of_jets(STATE, jets, chosen, block, head)


def test_features_without_angles_are_named(jets: Dataset) -> None:
    inputs = dataclasses.replace(STATE.inputs, features=("pt", "etarel", "charge"))
    with pytest.raises(ModelError, match=r"needs phi: expected one of .* phirel, .* got pt, etarel, charge"):
        attention_of_jets(State(STATE.network, inputs, STATE.class_names), jets, [0])


def test_other_networks_are_refused() -> None:
    x, mask = example_batch(2)
    with pytest.raises(ModelError, match="this network is a deep-sets"):
        class_attention(build("deep-sets", STATE.inputs, constituents=5, classes=5), x, mask)
    with pytest.raises(ModelError, match="this network is one in fixed point"):
        class_attention(example_fixed_point_state().network, x, mask)
