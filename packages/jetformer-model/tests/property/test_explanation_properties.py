import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from jetformer_model.explanation import class_attention
from jetformer_model.testing import SMALL, example_batch, example_state

NETWORK = example_state().network
seeds = st.integers(0, 10_000)


@settings(deadline=None, max_examples=30)
@given(seeds)
def test_attention_follows_the_constituents_whatever_their_order(seed: int) -> None:
    x, mask = example_batch(7, seed=seed)
    order = torch.randperm(SMALL.constituents, generator=torch.Generator().manual_seed(seed))
    first, second = class_attention(NETWORK, x, mask), class_attention(NETWORK, x[:, order], mask[:, order])
    torch.testing.assert_close(first[..., 1:][..., order], second[..., 1:])
    torch.testing.assert_close(first[..., 0], second[..., 0])


@settings(deadline=None, max_examples=30)
@given(seeds, st.integers(1, 4))
def test_padding_gets_nothing_and_changes_nothing(seed: int, more: int) -> None:
    x, mask = example_batch(7, seed=seed)
    longer = class_attention(
        NETWORK, functional.pad(x, (0, 0, 0, more), value=9.0), functional.pad(mask, (0, more))
    )
    torch.testing.assert_close(longer[..., :-more], class_attention(NETWORK, x, mask))
    assert (longer[..., -more:] == 0).all()
