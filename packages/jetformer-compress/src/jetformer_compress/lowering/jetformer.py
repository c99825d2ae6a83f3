"""A JetFormer as a graph of exact operations; names and equations as in docs/interfaces/model-state.md.

A norm before a matrix becomes part of that matrix and of its bias. Before a ReLU,
ReLU(s x + o) = |s| ReLU(sign(s) x + o / |s|), and |s| goes into the matrix after.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from jetformer_compress.errors import CompressError
from jetformer_compress.lowering.layers import OUTPUT, scale_and_shift
from jetformer_model.graph_builder import Node
from jetformer_model.network import Attention, Block, JetFormer
from jetformer_model.taggers.linformer import Linformer

# A channel whose scale is smaller counts as constant: its offset divided by the scale would leave every number format.
SMALLEST_SCALE = 1e-4


def jetformer(network: JetFormer, x: Node) -> None:
    """Raises CompressError for layer norm, whose statistics depend on the jet, and for an activation other than ReLU."""
    a = network.architecture
    require_foldable(a.norm, a.activation)
    tokens, real = tokens_of(network, x)
    for index, block in enumerate(network.each_block()):
        with x.builder.scope(f"blocks.{index}"):
            tokens = _block(block, tokens, real, class_only=index == a.blocks - 1)
    class_logits(tokens, network.head.norm, network.head.linear)


def require_foldable(norm: str, activation: str) -> None:
    """Raise CompressError unless the norm is a number a channel and the activation ReLU."""
    if norm != "batch" or activation != "relu":
        raise CompressError(
            f"a network with {norm} norm and {activation} cannot be folded; "
            "retrain it with: jetformer-model train --norm batch --activation relu"
        )


def tokens_of(network: JetFormer | Linformer, x: Node) -> tuple[Node, Node]:
    """Tokens [1 + constituents, channels], the class token first, and which of them are real, [1 + constituents]."""
    build = x.builder
    class_token = build.parameter("class_token", network.class_token.unsqueeze(0))
    embedded = x.linear("embedding", network.embedding.weight, network.embedding.bias).quantised("tokens")
    tokens = build.concatenate([class_token, embedded], axis=0)
    real = build.concatenate([build.constant("one", torch.ones(1)), build.mask()], axis=0)
    return tokens, real


def class_logits(tokens: Node, norm: nn.Module, head: nn.Linear) -> None:
    """Of the first token."""
    scale, shift = scale_and_shift(norm)
    weight, bias = head.weight * scale, head.bias + head.weight @ shift
    tokens[:1].reshape(head.in_features).linear("head", weight, bias).quantised(OUTPUT)


def _block(block: Block, tokens: Node, real: Node, class_only: bool) -> Node:
    with tokens.builder.scope("attention"):
        queries = tokens[:1] if class_only else tokens
        tokens = residual(queries, _attention(block.attention, tokens, queries, real), block.attention.output)
    f = block.feedforward
    return feedforward(tokens, f.norm, f.expand, f.expand_norm, f.contract)


def residual(queries: Node, attended: Node, output: nn.Linear) -> Node:
    """What attention adds."""
    return (queries + attended.linear("output", output.weight, output.bias)).quantised("residual")


def _attention(attention: Attention, tokens: Node, queries: Node, real: Node) -> Node:
    """softmax(q k^T) v by two tables, before the output matrix: [queries, a]."""
    scale, shift = scale_and_shift(attention.norm)
    width = attention.q.out_features

    def projected(x: Node, name: str, matrix: Tensor, output: str) -> Node:
        """[heads, tokens, a / heads]."""
        made = x.linear(name, matrix * scale, matrix @ shift).quantised(output)
        return made.reshape(x.shape[0], attention.heads, width // attention.heads).transpose(1, 0, 2)

    head_scale = (width // attention.heads) ** -0.5
    q = projected(queries, "q", attention.q.weight * head_scale, "query")
    k = projected(tokens, "k", attention.k.weight, "key")
    v = projected(tokens, "v", attention.v.weight, "value")
    mask = real.reshape(1, 1, real.shape[0])
    score = (q @ k.transpose(0, 2, 1)).quantised("score", along=[0])
    distance = (score.maximum(2, mask, keep=True) - score).quantised("exponent", along=[])
    weight = distance.table("exp", "exp").gated(mask)
    reciprocal = weight.sum(2, keep=True).quantised("sum", along=[]).table("reciprocal", "reciprocal")
    # the reciprocal multiplies once, after the product with v
    attended = (weight @ v).quantised("weighted", along=[0, 2]) * reciprocal
    return attended.transpose(1, 0, 2).reshape(queries.shape[0], width).quantised("attended")


def feedforward(
    tokens: Node, norm: nn.Module, expand: nn.Linear, expand_norm: nn.Module, contract: nn.Linear
) -> Node:
    """tokens + contract ReLU(expand_norm expand ReLU(norm tokens))."""
    scale, shift = scale_and_shift(norm)
    size = scale.abs().clamp(min=SMALLEST_SCALE)
    hidden_scale, hidden_shift = scale_and_shift(expand_norm)
    with tokens.builder.scope("feedforward"):
        sign = tokens.builder.constant("sign", torch.where(scale < 0, -1.0, 1.0))
        offset = tokens.builder.parameter("offset", shift / size)
        u = (sign * tokens + offset).relu().quantised("input")
        weight = hidden_scale[:, None] * expand.weight * size
        h = u.linear("expand", weight, hidden_shift).relu().quantised("hidden")
        return (tokens + h.linear("contract", contract.weight)).quantised("output")
