"""JetFormer for triggers against its formula, one constituent at a time in plain Python."""

import itertools
import math

import pytest
import torch
from torch import Tensor

from jetformer_model.errors import ModelError
from jetformer_model.taggers.counting import counted_flops
from jetformer_model.taggers.trigger_attention import ClassAttention, ConstituentAttention
from jetformer_model.taggers.trigger_jetformer import TriggerBlock, TriggerJetFormer

P, REAL, D, HEADS, KEY, VALUE = 5, 3, 6, 2, 3, 5
KINDS = ("softmax", "relu", "linear")
SCALE = 1 / 4  # 2^-round(log2 5)


@pytest.fixture
def jet() -> Tensor:
    """[P, D], padding after the first REAL."""
    torch.manual_seed(5)
    return torch.randn(P, D)


@pytest.fixture
def mask() -> Tensor:
    return torch.arange(P)[None] < REAL


def with_statistics(network: torch.nn.Module) -> torch.nn.Module:
    for name, buffer in network.named_buffers():
        buffer.normal_() if name.endswith("mean") else buffer.uniform_(0.5, 2)
    return network.eval()


def weights(kind: str, scores: list[Tensor]) -> list[Tensor]:
    """Of one query."""
    if kind == "softmax":
        total = sum(math.exp(score) for score in scores)
        return [torch.exp(score) / total for score in scores]
    return [SCALE * (score.clamp(min=0) if kind == "relu" else score) for score in scores]


def head(x: Tensor, number: int, width: int) -> Tensor:
    return x[number * width : (number + 1) * width]


@torch.no_grad()
@pytest.mark.parametrize("kind", KINDS)
def test_attention_of_constituents(kind: str, jet: Tensor, mask: Tensor) -> None:
    attention = with_statistics(ConstituentAttention(D, P, kind, HEADS, KEY, VALUE))
    real = jet[:REAL]
    q, k, v = attention.query(real), attention.key(real), attention.value(real)
    found = attention(jet[None], mask)[0]
    for i, h in itertools.product(range(REAL), range(HEADS)):
        scores = [head(q[i], h, KEY) @ head(k[j], h, KEY) / math.sqrt(KEY) for j in range(REAL)]
        expected = sum(w * head(v[j], h, VALUE) for j, w in enumerate(weights(kind, scores)))
        torch.testing.assert_close(head(found[i], h, VALUE), expected)


@torch.no_grad()
@pytest.mark.parametrize("kind", KINDS)
def test_attention_of_a_class_token(kind: str, jet: Tensor, mask: Tensor) -> None:
    attention = with_statistics(ClassAttention(D, P, kind, HEADS))
    scores = attention.score(jet[:REAL])
    found = attention(jet[None], mask)[0, 0]
    for h in range(HEADS):
        shares = weights(kind, [score[h] for score in scores])
        expected = sum(w * head(jet[j], h, D // HEADS) for j, w in enumerate(shares))
        torch.testing.assert_close(head(found, h, D // HEADS), expected)


@torch.no_grad()
def test_a_linformer_attends_to_mixtures_of_real_constituents(jet: Tensor, mask: Tensor) -> None:
    attention = with_statistics(ClassAttention(D, P, "linformer", HEADS))
    scores, keys, values = (
        attention.score(jet[:REAL]),
        attention.project_keys.weight,
        attention.project_values.weight,
    )
    found = attention(jet[None], mask)[0, 0]
    for h in range(HEADS):
        mixed = [sum(keys[r, j] * scores[j, h] for j in range(REAL)) for r in range(4)]
        mixtures = [sum(values[r, j] * head(jet[j], h, D // HEADS) for j in range(REAL)) for r in range(4)]
        expected = sum(w * x for w, x in zip(torch.softmax(torch.stack(mixed), 0), mixtures, strict=True))
        torch.testing.assert_close(head(found, h, D // HEADS), expected)


@torch.no_grad()
def test_a_block_adds_what_was_attended_to_before_its_norm(jet: Tensor, mask: Tensor) -> None:
    block = with_statistics(TriggerBlock(ClassAttention(D, P, "relu", HEADS), D))
    attended = block.attended.weight @ block.attention(jet[None], mask)[0, 0]
    expected = [block.norm(block.own.weight @ jet[i] + attended, None).clamp(min=0) for i in range(REAL)]
    torch.testing.assert_close(block(jet[None], mask)[0, :REAL], torch.stack(expected))


@torch.no_grad()
@pytest.mark.parametrize(("pooling", "factor"), (("sum", SCALE), ("mean", 1 / REAL)))
def test_pooling(pooling: str, factor: float, mask: Tensor) -> None:
    network = with_statistics(TriggerJetFormer(P, 3, 5, pooling=pooling, blocks=1, embed_dim=D, heads=HEADS))
    x = torch.randn(P, 3, generator=torch.Generator().manual_seed(2))
    z = network.blocks[0](network.embedding(x)[None], mask)[0]
    torch.testing.assert_close(network(x[None], mask)[0], network.head(factor * z[:REAL].sum(0)))


@pytest.mark.parametrize("queries", ("class_token", "constituents"))
@pytest.mark.parametrize("attention", (*KINDS, "linformer"))
@pytest.mark.parametrize("pooling", ("class_token", "sum", "mean"))
def test_an_independent_count_agrees(queries: str, attention: str, pooling: str) -> None:
    network = TriggerJetFormer(
        P,
        3,
        5,
        queries=queries,
        attention=attention,
        pooling=pooling,
        blocks=2,
        embed_dim=12,
        heads=3,
        key_dim=2,
        value_dim=5,
    )
    assert network.flops() == counted_flops(network)


def test_flops_by_hand() -> None:
    """One channel and one head: embedding, scores, products, own, attended, and a head of one neuron."""
    network = TriggerJetFormer(7, 3, 2, blocks=1, embed_dim=1, attention="linear", queries="class_token",
                               pooling="sum", heads=1, head_widths=(1,))  # fmt: skip
    embedding, scores, products, own, attended = 7 * (3 + 2), 7 * (1 + 2), 7, 7 * (1 + 2), 1
    assert network.flops() == embedding + scores + products + own + attended + (1 + 2) + (2 + 4)


def test_heads_of_a_class_token_share_the_channels() -> None:
    with pytest.raises(ModelError, match="5 heads of a class token: expected a divisor of 32 channels"):
        TriggerJetFormer(P, 3, 5, heads=5, queries="class_token")


@pytest.mark.parametrize("name", ("attention", "queries", "pooling"))
def test_an_unknown_choice_is_refused(name: str) -> None:
    with pytest.raises(ModelError, match=f"{name} 'none': expected one of "):
        TriggerJetFormer(P, 3, 5, **{name: "none"})
