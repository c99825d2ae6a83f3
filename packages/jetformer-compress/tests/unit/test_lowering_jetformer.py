"""A JetFormer as a graph, its numbers unquantised, gives the JetFormer's logits."""

import dataclasses

import pytest
import torch

from jetformer_compress.errors import CompressError
from jetformer_compress.lowering import lower
from jetformer_model.one_bit import OneBitJetFormer
from jetformer_model.testing import SMALL, example_batch, example_fixed_point_state, example_state


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


def test_a_one_bit_network_is_lowered_with_the_weights_that_it_computes_with() -> None:
    torch.manual_seed(4)
    network = OneBitJetFormer(SMALL).eval()
    found = lower(network)
    for name, layer in network.bit_layers().items():
        if name.endswith("attention.output"):
            torch.testing.assert_close(found.weight(f"{name}.weight").data, layer.binary_weight())
    assert found.weight("blocks.0.attention.output.weight").abs().unique().numel() == 1


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
