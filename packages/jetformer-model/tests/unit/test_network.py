import math

import torch

from jetformer_model.network import Attention, JetFormer
from jetformer_model.testing import SMALL, example_batch, example_state
from jetformer_model.tokens import Padded


@torch.no_grad()
def test_attention_is_the_formula() -> None:
    """Written out token by token for one jet with three real tokens and a padded one."""
    torch.manual_seed(3)
    attention = Attention(embed_dim=5, attention_dim=6, heads=2, norm="layer").eval()
    x, mask = torch.randn(1, 4, 5), torch.tensor([[True, True, True, False]])
    h = attention.norm(x, mask)[0]
    q, k, v = (layer(h) for layer in (attention.q, attention.k, attention.v))
    rows = []
    for i in range(4):
        heads = []
        for part in (slice(0, 3), slice(3, 6)):
            scores = [math.exp(float(q[i, part] @ k[j, part]) / math.sqrt(3)) for j in range(3)]
            heads.append(sum(s * v[j, part] for j, s in enumerate(scores)) / sum(scores))
        rows.append(torch.cat(heads))
    torch.testing.assert_close(
        attention(x, Padded(mask), class_only=False)[0], attention.output(torch.stack(rows))
    )


def test_the_last_block_needs_the_class_token_alone() -> None:
    network, (x, mask) = example_state().network, example_batch(11)
    torch.testing.assert_close(network(x, mask), network(x, mask, every_token=True))


def test_a_jet_without_constituents_has_logits() -> None:
    network = JetFormer(SMALL).eval()
    x, mask = torch.zeros(1, 5, 3), torch.zeros(1, 5, dtype=torch.bool)
    assert torch.isfinite(network(x, mask)).all()
