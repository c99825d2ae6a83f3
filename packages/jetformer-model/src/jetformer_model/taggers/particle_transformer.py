"""Particle Transformer (ParT), with and without its pairwise interactions.

    particle block (8):  x = x + LN(W_o [gamma_h softmax(q k^T / sqrt(d / H) + U) v]_h),   q, k, v from LN(x)
                         x = lambda * x + W_2 LN(GELU(W_1 LN(x)))
    class block (2):     the same for a class token c alone, with q from c and k, v from LN([c, x]), no U
    logits = W LN(c)

Source: H. Qu, C. Li, S. Qian, "Particle Transformer for Jet Tagging", arXiv:2202.03772: d = 128, 8 heads, 512 hidden
channels, embedding MLP 128-512-128, dropout 0.1 in the particle blocks. The norms inside, the factor gamma for each head and
lambda for each channel of the residual are NormFormer's (arXiv:2110.09456), as in the authors' configuration. U is in
`pairwise.py`. Published for JetClass (17 features, 128 constituents): 2.14M parameters and 340M FLOPs; 2.13M and 260M
without pairwise interactions.

This is the tagger that speeds are compared with, so it is written to be fast without a compiler: one fused product for q, k
and v, `scaled_dot_product_attention` with U and the mask as one additive bias made once for all blocks in the type that the
attention computes in, half of the pairs, and fused norms. It runs under bf16 autocast; momenta and their logarithms stay in
float32.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from jetformer_model.inputs import Inputs
from jetformer_model.norm import MaskedBatchNorm
from jetformer_model.taggers.kinematics import Kinematics
from jetformer_model.taggers.pairwise import PairBias, Pairs
from jetformer_model.taggers.tagger import Tagger, each, without_padding


class Embedding(nn.Module):
    """Norm over real constituents, then GELU(W LN(.)) for each width."""

    def __init__(self, features: int, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.widths = (features, *widths)
        self.input_norm = MaskedBatchNorm(features)
        self.layers = nn.Sequential(
            *(
                module
                for a, b in pairwise(self.widths)
                for module in (nn.LayerNorm(a), nn.Linear(a, b), nn.GELU())
            )
        )

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        embedded: Tensor = self.layers(self.input_norm(x, mask))
        return embedded

    def flops(self, constituents: int) -> int:
        layers = sum(a * b for a, b in pairwise(self.widths))
        return constituents * (layers + 2 * (self.widths[0] + sum(self.widths[:-1])))


class Block(nn.Module):
    """Attention and feed-forward of one block; a particle block attends from x to x, a class block from the class token."""

    def __init__(self, embed_dim: int, heads: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm = nn.LayerNorm(embed_dim)
        self.qkv = nn.Linear(embed_dim, 3 * embed_dim)
        self.head_scale = nn.Parameter(torch.ones(heads))
        self.output = nn.Linear(embed_dim, embed_dim)
        self.output_norm = nn.LayerNorm(embed_dim)
        self.feedforward_norm = nn.LayerNorm(embed_dim)
        self.expand = nn.Linear(embed_dim, hidden)
        self.hidden_norm = nn.LayerNorm(hidden)
        self.contract = nn.Linear(hidden, embed_dim)
        self.residual_scale = nn.Parameter(torch.ones(embed_dim))
        self.dropout = dropout

    def among_particles(self, x: Tensor, bias: Tensor) -> Tensor:
        """x [jets, constituents, d]; bias: a mask (True = real) or floats to add, for [jets, heads, queries, keys]."""
        q, k, v = self.qkv(self.attention_norm(x)).chunk(3, -1)
        return self._rest(x, q, k, v, bias)

    def to_class(self, token: Tensor, x: Tensor, mask: Tensor) -> Tensor:
        """token [jets, 1, d], x [jets, constituents, d], mask for the keys (the token first) -> token."""
        everything = self.attention_norm(torch.cat([token, x], 1))
        d = token.shape[-1]
        q = functional.linear(token, self.qkv.weight[:d], self.qkv.bias[:d])
        k, v = functional.linear(everything, self.qkv.weight[d:], self.qkv.bias[d:]).chunk(2, -1)
        return self._rest(token, q, k, v, mask)

    def _rest(self, x: Tensor, q: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> Tensor:
        dropout = self.dropout if self.training else 0.0
        q, k, v = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in (q, k, v))
        attended = functional.scaled_dot_product_attention(q, k, v, bias, dropout)
        attended = (attended * self.head_scale.to(attended.dtype)[:, None, None]).transpose(1, 2).flatten(2)
        x = x + functional.dropout(self.output_norm(self.output(attended)), dropout)
        hidden = functional.dropout(functional.gelu(self.expand(self.feedforward_norm(x))), dropout)
        update = functional.dropout(self.contract(self.hidden_norm(hidden)), dropout)
        return torch.addcmul(update, self.residual_scale, x)

    def flops(self, queries: int, keys: int) -> int:
        """Products and norms; a class block norms all its keys and projects the token alone to q."""
        d, hidden = self.output.in_features, self.expand.out_features
        products = queries * (2 * d * d + 2 * d * hidden) + keys * 2 * d * d + 2 * queries * keys * d
        return products + 2 * (keys * d + queries * (2 * d + hidden))


class ParticleTransformer(Tagger):
    """ParT for one set of inputs.

    interactions: False for the plain form, which needs no momenta
    pairs: which pairs U is computed for, see `PairBias`
    """

    def __init__(
        self,
        inputs: Inputs,
        constituents: int,
        classes: int,
        *,
        interactions: bool = True,
        pairs: Pairs = "real",
        embed_dim: int = 128,
        heads: int = 8,
        blocks: int = 8,
        class_blocks: int = 2,
        dropout: float = 0.1,
    ) -> None:
        features = len(inputs.features)
        super().__init__(constituents, features, classes)
        d = embed_dim
        self.embedding = Embedding(features, (d, 4 * d, d))
        self.momenta = Kinematics(inputs, ("pt", "eta", "phi")) if interactions else None
        self.pair_bias = PairBias(heads, pairs=pairs) if interactions else None
        self.blocks = nn.ModuleList(Block(d, heads, 4 * d, dropout) for _ in range(blocks))
        self.class_blocks = nn.ModuleList(Block(d, heads, 4 * d, 0.0) for _ in range(class_blocks))
        self.class_token = nn.Parameter(torch.empty(d))
        nn.init.trunc_normal_(self.class_token, std=0.02)
        self.norm = nn.LayerNorm(d)
        self.head = nn.Linear(d, classes)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        x = without_padding(x, mask)
        bias = self._bias(x, mask)
        x = self.embedding(x, mask)
        for block in each(self.blocks, Block):
            x = block.among_particles(x, bias)
        token = self.class_token.to(x.dtype).expand(x.shape[0], 1, -1)
        keys = functional.pad(mask, (1, 0), value=True)[:, None, None, :]
        for block in each(self.class_blocks, Block):
            token = block.to_class(token, x, keys)
        logits: Tensor = self.head(self.norm(token[:, 0]))
        return logits

    def _bias(self, x: Tensor, mask: Tensor) -> Tensor:
        """U with -infinity for keys that are not real, or their mask alone: [jets, 1 or heads, 1 or P, P]."""
        # softmax over nothing is no number: a jet without constituents attends to a slot, and no one reads what comes of it
        first = torch.zeros_like(mask)
        first[:, :1] = ~mask.any(1, keepdim=True)
        keys = (mask | first)[:, None, None, :]
        if self.pair_bias is None or self.momenta is None:
            return keys
        bias = self.pair_bias(self.momenta(x, mask), mask)
        return bias.masked_fill(~keys, -torch.inf).to(_attention_dtype(x))

    def flops(self) -> int:
        """Embedding, U, particle blocks, class blocks, and the last norm and layer."""
        number, d = self.constituents, self.head.in_features
        pairs = self.pair_bias.flops(number) if self.pair_bias is not None else 0
        blocks = sum(block.flops(number, number) for block in each(self.blocks, Block))
        class_blocks = sum(block.flops(1, number + 1) for block in each(self.class_blocks, Block))
        return self.embedding.flops(number) + pairs + blocks + class_blocks + 2 * d + d * self.classes


def _attention_dtype(x: Tensor) -> torch.dtype:
    """What the products of the blocks are computed in."""
    device = x.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else x.dtype
