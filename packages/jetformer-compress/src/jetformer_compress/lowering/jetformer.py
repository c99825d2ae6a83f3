"""A JetFormer as a graph of exact operations; names and equations as in docs/interfaces/model-state.md.

A norm before a matrix becomes part of that matrix and of its bias. Before a ReLU,
ReLU(s x + o) = |s| ReLU(sign(s) x + o / |s|), and |s| goes into the matrix after.

A matrix of one bit stays one: its signs are constants, so that its products are sums and differences, norms are computed
before it, and its scale beta after it. Activations have fixed grids in place of one that follows the greatest of a token.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from jetformer_compress.errors import CompressError
from jetformer_compress.lowering.layers import OUTPUT, in_heads, normed, product, scale_and_shift, softmax
from jetformer_model.graph_builder import Node
from jetformer_model.network import Attention, Block, JetFormer
from jetformer_model.one_bit import BitLinear, OneBitJetFormer
from jetformer_model.taggers.linformer import Linformer

# A channel whose scale is smaller counts as constant: its offset divided by the scale would leave every number format.
SMALLEST_SCALE = 1e-4


def jetformer(network: JetFormer, x: Node) -> None:
    """Also of one bit. Raises CompressError for layer norm, whose statistics depend on the jet, for an activation other than
    ReLU, and for BitNet's normalisation before each matrix.
    """
    a = network.architecture
    if isinstance(network, OneBitJetFormer) and network.form.normalise:
        raise CompressError(
            "a one-bit network that normalises before rounding has no fixed-point form; binarize without --normalise"
        )
    require_foldable(a.norm, a.activation)
    tokens, real = tokens_of(network, x)
    for index, block in enumerate(network.each_block()):
        with x.builder.scope(f"blocks.{index}"):
            tokens = _block(block, tokens, real, class_only=index == a.blocks - 1)
    class_logits(tokens, network.head.norm, network.head.linear)


def require_foldable(norm: str, activation: str) -> None:
    """Raise CompressError unless the norm is a scale and a shift a channel, and the activation ReLU."""
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
    return tokens, build.concatenate([build.constant("one", torch.ones(1)), build.mask()], axis=0)


def class_logits(tokens: Node, norm: nn.Module, head: nn.Linear) -> None:
    """Of the first token."""
    scale, shift = scale_and_shift(norm)
    weight, bias = head.weight * scale, head.bias + head.weight @ shift
    tokens[:1].reshape(head.in_features).linear("head", weight, bias).quantised(OUTPUT)


def _block(block: Block, tokens: Node, real: Node, class_only: bool) -> Node:
    with tokens.builder.scope("attention"):
        queries = 1 if class_only else tokens.shape[0]
        attended = _attention(block.attention, tokens, queries, real)
        output = block.attention.output
        tokens = (tokens[:queries] + product(attended, "output", output, output.bias)).quantised("residual")
    f = block.feedforward
    return feedforward(tokens, f.norm, f.expand, f.expand_norm, f.contract)


def _attention(attention: Attention, tokens: Node, queries: int, real: Node) -> Node:
    """softmax(q k^T) v of the first `queries` tokens, by two tables, before the output matrix: [queries, a]."""
    scale, shift = scale_and_shift(attention.norm)
    folds = not isinstance(attention.q, BitLinear)
    if not folds:
        tokens = normed(tokens, "norm", scale, shift).quantised("input")
    width = attention.q.out_features

    def projected(x: Node, name: str, layer: nn.Linear, output: str, rows: float = 1.0) -> Node:
        """[heads, tokens, a / heads]."""
        bias, columns = (rows * layer.weight @ shift, scale) if folds else (None, 1.0)
        return in_heads(product(x, name, layer, bias, rows, columns).quantised(output), attention.heads)

    q = projected(tokens[:queries], "q", attention.q, "query", (width // attention.heads) ** -0.5)
    k = projected(tokens, "k", attention.k, "key")
    v = projected(tokens, "v", attention.v, "value")
    attended = softmax((q @ k.transpose(0, 2, 1)).quantised("score", along=[0]), v, real)
    return attended.transpose(1, 0, 2).reshape(queries, width)


def feedforward(
    tokens: Node, norm: nn.Module, expand: nn.Linear, expand_norm: nn.Module, contract: nn.Linear
) -> Node:
    """tokens + contract ReLU(expand_norm expand ReLU(norm tokens))."""
    scale, shift = scale_and_shift(norm)
    hidden_scale, hidden_shift = scale_and_shift(expand_norm)
    with tokens.builder.scope("feedforward"):
        size: float | Tensor = 1.0
        if isinstance(expand, BitLinear):
            u = normed(tokens, "norm", scale, shift)
        else:
            size = scale.abs().clamp(min=SMALLEST_SCALE)
            sign = tokens.builder.constant("sign", torch.where(scale < 0, -1.0, 1.0))
            u = sign * tokens + tokens.builder.parameter("offset", shift / size)
        u = u.relu().quantised("input")
        h = product(u, "expand", expand, hidden_shift, rows=hidden_scale, columns=size)
        h = h.relu().quantised("hidden")
        return (tokens + product(h, "contract", contract)).quantised("output")
