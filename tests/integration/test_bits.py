"""Every tagger that has a fixed-point form gives the same bits in PyTorch and in the firmware's reference."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from jetformer_compress import Widths
from jetformer_compress.quantisation import post_training
from jetformer_data.schema import write
from jetformer_data.testing import example_jets
from jetformer_fpga import reference
from jetformer_fpga.fixed_point import quantise_real
from jetformer_fpga.state import read
from jetformer_model import State, save, tagging_data
from jetformer_model.dataset import Dataset, TaggingData
from jetformer_model.norm import MaskedBatchNorm
from jetformer_model.taggers import build
from jetformer_model.training import predict

P = 6
TRIGGER = {"embed_dim": 8, "heads": 2}
TAGGERS = (
    ("mlp-tiny", {}),
    ("deep-sets", {}),
    ("jedi-linear", {"embed_dim": 8, "head_widths": (8,)}),
    ("mlp-mixer", {}),
    ("jetformer-tiny", {"blocks": 2}),
    *(
        ("trigger-8", TRIGGER | {"attention": attention, "queries": queries, "pooling": pooling})
        for attention in ("softmax", "relu", "linear", "linformer")
        for queries, pooling in (("class_token", "class_token"), ("constituents", "mean"))
    ),
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> TaggingData:
    path = tmp_path_factory.mktemp("jets") / "jets.h5"
    write(path, example_jets(jets=600, seed=3))
    return tagging_data(path, constituents=P)


def with_every_multiplicity(jets: Dataset) -> Dataset:
    """The same jets, of which one in P + 1 has lost all constituents, the next all but one, and so on."""
    left = torch.arange(len(jets)) % (P + 1)
    mask = jets.mask & (torch.arange(P) < left[:, None])
    return dataclasses.replace(jets, x=jets.x * mask.unsqueeze(-1), mask=mask)


def network(name: str, sizes: dict[str, Any], data: TaggingData) -> Any:
    """With random weights and with statistics that are not the initial ones."""
    torch.manual_seed(7)
    made = build(name, data.inputs, constituents=P, classes=len(data.class_names), **sizes)
    for module in made.modules():
        if isinstance(module, MaskedBatchNorm):
            module.running_mean.normal_(std=0.3)
            module.running_var.uniform_(0.3, 1)
    return made.eval()


@pytest.mark.parametrize(("name", "sizes"), TAGGERS)
def test_the_reference_agrees_on_every_bit(
    name: str, sizes: dict[str, Any], data: TaggingData, tmp_path: Path
) -> None:
    state = State(network(name, sizes, data), data.inputs, data.class_names)
    quantised = post_training(state, data.train, Widths())
    save(tmp_path / "fixed.safetensors", dataclasses.replace(state, network=quantised))
    read_back = read(tmp_path / "fixed.safetensors")
    jets = with_every_multiplicity(data.train)
    codes = quantise_real(jets.x.double().numpy(), read_back.formats["features"])
    found = reference.logits(read_back, codes, jets.mask.numpy())
    expected = predict(quantised, jets)
    assert (read_back.formats["logits"].value(found) == expected).all()
    assert np.ptp(expected, axis=0).min() > 0
