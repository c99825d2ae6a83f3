"""What must not change the logits: padding, the order of constituents, the other jets of the batch."""

import dataclasses

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from jetformer_model.network import JetFormer
from jetformer_model.testing import SMALL, example_batch, example_state
from jetformer_model.tokens import Ragged

LAYER = dataclasses.replace(SMALL, norm="layer", activation="silu")
NETWORKS = {"batch": example_state().network, "layer": example_state(LAYER).network}
seeds = st.integers(0, 2**31)


@pytest.mark.parametrize("norm", NETWORKS)
@given(seed=seeds, padding=st.integers(1, 9))
@settings(max_examples=25, deadline=None)
def test_padding_changes_nothing(norm: str, seed: int, padding: int) -> None:
    x, mask = example_batch(4, seed=seed)
    junk = torch.full((4, padding, 3), 1e3)
    longer = NETWORKS[norm](
        torch.cat([x, junk], 1), torch.cat([mask, torch.zeros(4, padding, dtype=torch.bool)], 1)
    )
    torch.testing.assert_close(NETWORKS[norm](x, mask), longer, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("norm", NETWORKS)
@given(seed=seeds)
@settings(max_examples=25, deadline=None)
def test_order_of_constituents_changes_nothing(norm: str, seed: int) -> None:
    x, mask = example_batch(4, seed=seed)
    order = torch.randperm(5, generator=torch.Generator().manual_seed(seed))
    shuffled = NETWORKS[norm](x[:, order], mask[:, order])
    torch.testing.assert_close(NETWORKS[norm](x, mask), shuffled, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("norm", NETWORKS)
@given(seed=seeds)
@settings(max_examples=25, deadline=None)
def test_a_batch_equals_its_jets_one_by_one(norm: str, seed: int) -> None:
    x, mask = example_batch(4, seed=seed)
    alone = torch.cat([NETWORKS[norm](x[j : j + 1], mask[j : j + 1]) for j in range(4)])
    torch.testing.assert_close(NETWORKS[norm](x, mask), alone, rtol=1e-4, atol=1e-5)


def test_padding_changes_nothing_in_training() -> None:
    """The batch statistics leave padding out too."""
    torch.manual_seed(1)
    network = JetFormer(SMALL).train()
    x, mask = example_batch(6)
    short = network(x, mask)
    longer = network(torch.nn.functional.pad(x, (0, 0, 0, 4)), torch.nn.functional.pad(mask, (0, 4)))
    torch.testing.assert_close(short, longer, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("norm", NETWORKS)
@given(seed=seeds)
@settings(max_examples=25, deadline=None)
def test_a_ragged_batch_equals_a_padded_one(norm: str, seed: int) -> None:
    x, mask = example_batch(6, seed=seed)
    counts = mask.sum(1)
    x = torch.cat([x[j, mask[j]] for j in range(6)])  # real rows only, wherever they stand
    offsets = torch.cat([torch.zeros(1), counts.cumsum(0)]).to(torch.int32)
    ragged = NETWORKS[norm](x, Ragged(offsets, int(counts.max())))
    padded = NETWORKS[norm](*example_batch(6, seed=seed))
    torch.testing.assert_close(ragged, padded, rtol=1e-4, atol=1e-5)
