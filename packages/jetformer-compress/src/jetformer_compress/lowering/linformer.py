"""A JetFormer with Linformer's attention as a graph of exact operations; all but attention is as in `lowering.jetformer`.

E and F are constant matrices along the tokens: adders, where softmax over the tokens needs a product for each pair of them.
"""

from __future__ import annotations

from torch import Tensor

from jetformer_compress.lowering.jetformer import class_logits, feedforward, require_foldable, tokens_of
from jetformer_compress.lowering.layers import in_heads, scale_and_shift, softmax
from jetformer_model.graph_builder import Node
from jetformer_model.norm import MaskedBatchNorm
from jetformer_model.taggers.linformer import ACTIVATIONS, Linformer, LinformerBlock
from jetformer_model.taggers.tagger import each


def linformer(network: Linformer, x: Node) -> None:
    """Raises CompressError as `jetformer` does."""
    tokens, real = tokens_of(network, x)
    blocks = list(each(network.blocks, LinformerBlock))
    for index, block in enumerate(blocks):
        norm = "batch" if isinstance(block.attention_norm, MaskedBatchNorm) else "layer"
        require_foldable(norm, next(name for name, one in ACTIVATIONS.items() if one is block.activate))
        with x.builder.scope(f"blocks.{index}"):
            tokens = _block(block, tokens, real, class_only=index == len(blocks) - 1)
    class_logits(tokens, network.norm, network.head)


def _block(block: LinformerBlock, tokens: Node, real: Node, class_only: bool) -> Node:
    with tokens.builder.scope("attention"):
        queries = tokens[:1] if class_only else tokens
        attended = _attention(block, tokens, queries, real)
        output = attended.linear("output", block.output.weight, block.output.bias)
        tokens = (queries + output).quantised("residual")
    return feedforward(tokens, block.feedforward_norm, block.expand, block.hidden_norm, block.contract)


def _attention(block: LinformerBlock, tokens: Node, queries: Node, real: Node) -> Node:
    """softmax(q (E k)^T) F v, before the output matrix: [queries, a]."""
    scale, shift = scale_and_shift(block.attention_norm)
    width, heads = block.output.in_features, block.heads
    real = real.reshape(real.shape[0], 1)

    def projected(x: Node, name: str, matrix: Tensor, output: str) -> Node:
        return x.linear(name, matrix * scale, matrix @ shift).quantised(output)

    def mixed(x: Node, name: str, mixing: Tensor) -> Node:
        """[heads, a / heads, rank]."""
        keys = in_heads(x.gated(real), heads, keys=True)
        return keys.linear(f"project_{name}s", mixing).quantised(f"mixed_{name}", along=(0, 1))

    query, key, value = block.qkv.weight.chunk(3)
    q = in_heads(projected(queries, "q", query * (width // heads) ** -0.5, "query"), heads)
    k = mixed(projected(tokens, "k", key, "key"), "key", block.project_keys.weight)
    v = mixed(projected(tokens, "v", value, "value"), "value", block.project_values.weight)
    attended = softmax((q @ k).quantised("score", along=(0,)), v.transpose(0, 2, 1), None)
    return attended.transpose(1, 0, 2).reshape(queries.shape[0], width)
