"""Every count of the publication's tables, and an independent count over the built network."""

import dataclasses

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from jetformer_model.config import Architecture, preset
from jetformer_model.errors import ModelError
from jetformer_model.flops import flops, parameters
from jetformer_model.network import JetFormer
from jetformer_model.norm import MaskedBatchNorm, TokenLayerNorm
from jetformer_model.testing import SMALL


def hls4ml(constituents: int, features: int) -> Architecture:
    return preset("150p", features=features, classes=5, constituents=constituents)


def small(blocks: int, embed_dim: int, heads: int) -> Architecture:
    return preset("tiny", features=3, classes=5, blocks=blocks, embed_dim=embed_dim, heads=heads)


def halved(architecture: Architecture) -> Architecture:
    blocks = architecture.blocks
    return dataclasses.replace(architecture, attention_dims=(4,) * blocks, feedforward_dims=(8,) * blocks)


@pytest.mark.parametrize(
    ("architecture", "published", "live", "expected_flops"),
    (
        (hls4ml(8, 3), 101_291, 100_805, 931_648),
        (hls4ml(16, 3), 102_539, 100_805, 1_811_776),
        (hls4ml(32, 3), 107_339, 100_805, 3_719_488),
        (hls4ml(30, 16), 107_403, 101_637, 3_495_232),
        (hls4ml(50, 16), 117_243, 101_637, 6_142_272),
        (hls4ml(100, 16), 162_843, 101_637, 14_103_872),
        (hls4ml(150, 16), 238_443, 101_637, 23_985_472),
        (preset("jetclass", features=17, classes=10), 1_659_038, 1_326_218, 213_284_864),
    ),
)
def test_tables_1_to_3(architecture: Architecture, published: int, live: int, expected_flops: int) -> None:
    assert parameters(architecture, "published") == published
    assert parameters(architecture) == live
    assert flops(architecture) == expected_flops


@pytest.mark.parametrize(
    ("shape", "expected"),
    (
        ((4, 8, 2), 26_168),
        ((5, 8, 2), 32_648),
        ((6, 8, 2), 39_128),
        ((4, 16, 2), 89_200),
        ((5, 16, 2), 111_376),
        ((3, 32, 2), 244_640),
        ((4, 32, 2), 325_856),
        ((5, 32, 2), 407_072),
    ),
)
def test_table_4(shape: tuple[int, int, int], expected: int) -> None:
    assert flops(small(*shape)) == expected


@pytest.mark.parametrize(
    ("blocks", "published", "published_pruned", "pruned_flops"),
    ((4, 3_085, 1_997, 13_784), (5, 3_831, 2_471, 17_168), (6, 4_577, 2_945, 20_552)),
)
def test_table_5(blocks: int, published: int, published_pruned: int, pruned_flops: int) -> None:
    whole = small(blocks, 8, 2)
    assert parameters(whole, "published") == published
    assert parameters(halved(whole), "published") == published_pruned
    assert flops(halved(whole)) == pruned_flops


def test_live_parameters_of_the_pruned_tiny_network() -> None:
    assert (parameters(small(4, 8, 2)), parameters(halved(small(4, 8, 2)))) == (2_437, 1_349)


UNEVEN = dataclasses.replace(
    SMALL, constituents=7, embed_dim=22, heads=2, attention_dims=(10, 26), feedforward_dims=(13, 29)
)


@pytest.mark.parametrize(
    "architecture", (SMALL, UNEVEN, hls4ml(8, 3), preset("jetclass", features=17, classes=10))
)
def test_an_independent_counter_agrees(architecture: Architecture) -> None:
    """torch's own counter for matrix products (2 a multiply-accumulate), and 2 for each element that enters a norm."""
    network = JetFormer(architecture).eval()
    elements = 0

    def count(module: torch.nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        nonlocal elements
        elements += output.numel()

    for module in network.modules():
        if isinstance(module, MaskedBatchNorm | TokenLayerNorm):
            module.register_forward_hook(count)
    x = torch.zeros(1, architecture.constituents, architecture.features)
    # the fused kernel's products are hidden from the counter
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH), torch.no_grad():
        network(x, x[..., 0] == 0, every_token=True)
    assert counter.get_total_flops() / 2 + 2 * elements == flops(architecture)
    assert sum(parameter.numel() for parameter in network.parameters()) == parameters(architecture)


def test_presets_can_be_changed_and_unknown_ones_are_refused() -> None:
    assert preset("150p", features=16, classes=5, constituents=150, norm=None).constituents == 150
    with pytest.raises(ModelError, match="expected one of tiny"):
        preset("huge", features=3, classes=5)


@pytest.mark.parametrize(
    ("change", "message"),
    (
        ({"attention_dims": (5, 6)}, "multiples of 2 heads"),
        ({"feedforward_dims": (5,)}, "one width for each of the 2 blocks"),
        ({"norm": "instance"}, "'norm': expected batch or layer"),
        ({"dropout": 1.0}, "dropout"),
        ({"constituents": 0}, "at least 1, got 0"),
    ),
)
def test_impossible_architectures_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        dataclasses.replace(SMALL, **change)


def test_an_architecture_survives_its_dictionary() -> None:
    assert Architecture.from_dict(UNEVEN.to_dict()) == UNEVEN
