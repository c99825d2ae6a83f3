"""A JetFormer as a graph, its numbers unquantised, gives the JetFormer's logits."""

import dataclasses

import pytest
import torch

from jetformer_compress.errors import CompressError
from jetformer_compress.lowering import lower
from jetformer_compress.quantisation import quantize
from jetformer_model.config import preset
from jetformer_model.dataset import TaggingData
from jetformer_model.fixed_point import FixedPointNetwork
from jetformer_model.one_bit import OneBit, OneBitJetFormer
from jetformer_model.state import State
from jetformer_model.testing import SMALL, example_batch, example_fixed_point_state, example_state
from jetformer_model.training import Recipe


@pytest.mark.parametrize("seed", (1, 2, 3))
def test_lowering_changes_no_logit(seed: int) -> None:
    """The example state has norms with negative scales, so the sign before the first ReLU is exercised."""
    network = example_state(seed=seed).network.double()
    assert (network.get_parameter("blocks.0.feedforward.norm.weight") < 0).any()
    x, mask = example_batch(50, seed=seed)
    torch.testing.assert_close(lower(network)(x, mask), network(x.double(), mask), rtol=1e-5, atol=1e-5)


def test_the_architecture_stays_that_of_the_float_network() -> None:
    network = lower(example_state().network)
    assert network.architecture == SMALL.to_dict()
    assert (network.name, network.constituents, network.features, network.classes) == ("jetformer", 5, 3, 5)


@pytest.mark.parametrize("form", (OneBit(), OneBit(power_of_two=True)))
def test_the_matrices_of_a_one_bit_network_stay_signs(form: OneBit, data: TaggingData) -> None:
    torch.manual_seed(4)
    network = OneBitJetFormer(preset("tiny", features=3, classes=5), form).eval()
    found, (x, mask) = lower(network), example_batch(40, network.architecture)
    torch.testing.assert_close(
        found(x, mask), network.plain().double()(x.double(), mask), rtol=1e-5, atol=1e-5
    )
    state = State(network.freeze(), data.inputs, data.class_names)
    trained = quantize(state, data, recipe=Recipe(epochs=2, learning_rate=0.1)).state.network
    assert isinstance(trained, FixedPointNetwork)
    for name, layer in network.bit_layers().items():
        signs = trained.weight(f"{name}.weight").detach()
        torch.testing.assert_close(signs, layer.weight.detach().sign())
        assert (trained.quantiser(f"{name}.weight").kif.sum(-1) == 1).all()


def test_what_bitnet_normalises_is_refused() -> None:
    with pytest.raises(CompressError, match="binarize without --normalise"):
        lower(OneBitJetFormer(SMALL, OneBit(normalise=True)))


@pytest.mark.parametrize("change", ({"norm": "layer"}, {"activation": "silu"}))
def test_what_cannot_be_folded_is_refused_with_the_way_out(change: dict[str, str]) -> None:
    network = example_state(dataclasses.replace(SMALL, **change)).network
    with pytest.raises(
        CompressError, match="retrain it with: jetformer-model train --norm batch --activation relu"
    ):
        lower(network)


def test_what_is_in_fixed_point_already_is_refused() -> None:
    with pytest.raises(CompressError, match="in fixed point already"):
        lower(example_fixed_point_state().network)
