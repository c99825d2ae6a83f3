"""JetFormer with Linformer's attention, linear in the number of constituents.

    softmax(q (E k)^T / sqrt(d / H)) (F v),      E, F [rank, T]: T = P + 1 tokens in, `rank` out, in each block
    all else as in JetFormer (`network.py`)

Source: S. Wang et al., "Linformer: Self-Attention with Linear Complexity", arXiv:2006.04768; for jets in triggers, L. Laatu,
C. Sun et al., "Sub-microsecond Transformers for Jet Tagging on FPGAs", arXiv:2510.24784.

E and F act on places, so the order of constituents matters. Keys and values of padding are zero before they are projected,
so that padding changes nothing.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from jetformer_model.config import Architecture
from jetformer_model.norm import make_norm
from jetformer_model.taggers.tagger import Tagger, each, in_slots, without_padding

ACTIVATIONS = {"relu": functional.relu, "silu": functional.silu}


class LinformerBlock(nn.Module):
    """One block for T tokens; `width` and `hidden` are those of q, k, v and of the feed-forward layer."""

    def __init__(self, architecture: Architecture, width: int, hidden: int, rank: int) -> None:
        super().__init__()
        a = architecture
        self.heads = a.heads
        self.activate = ACTIVATIONS[a.activation]
        self.attention_norm = make_norm(a.norm, a.embed_dim)
        self.qkv = nn.Linear(a.embed_dim, 3 * width, bias=False)
        self.project_keys = nn.Linear(a.tokens, rank, bias=False)
        self.project_values = nn.Linear(a.tokens, rank, bias=False)
        self.output = nn.Linear(width, a.embed_dim)
        self.feedforward_norm = make_norm(a.norm, a.embed_dim)
        self.expand = nn.Linear(a.embed_dim, hidden, bias=False)
        self.hidden_norm = make_norm(a.norm, hidden)
        self.contract = nn.Linear(hidden, a.embed_dim, bias=False)
        self.dropout = nn.Dropout(a.dropout)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """x [jets, T, d], mask [jets, T] -> [jets, T, d]."""
        q, k, v = self.qkv(self.attention_norm(x, mask)).chunk(3, -1)
        k = self.project_keys(without_padding(k, mask).transpose(1, 2)).transpose(1, 2)
        v = self.project_values(without_padding(v, mask).transpose(1, 2)).transpose(1, 2)
        q, k, v = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in (q, k, v))
        attended = functional.scaled_dot_product_attention(q, k, v)
        x = x + self.output(attended.transpose(1, 2).flatten(2))
        hidden = self.expand(self.activate(self.feedforward_norm(x, mask)))
        update = self.contract(self.activate(self.hidden_norm(hidden, mask)))
        return cast(Tensor, self.dropout(x + update))

    def flops(self) -> int:
        """4 T d a + 4 T r a + 2 T d m + 4 T d + 2 T m, with rank r: JetFormer's 2 T T a became 4 T r a."""
        d, width, hidden = self.output.out_features, self.output.in_features, self.expand.out_features
        rank, tokens = self.project_keys.weight.shape
        return tokens * (4 * d * width + 4 * rank * width + 2 * d * hidden + 4 * d + 2 * hidden)


class Linformer(Tagger):
    """A JetFormer of this architecture whose blocks attend to `rank` mixtures of tokens."""

    def __init__(self, architecture: Architecture, rank: int = 8) -> None:
        a = architecture
        super().__init__(a.constituents, a.features, a.classes)
        self.class_token = nn.Parameter(torch.randn(a.embed_dim) * a.embed_dim**-0.5)
        self.embedding = nn.Linear(a.features, a.embed_dim)
        self.blocks = nn.ModuleList(
            LinformerBlock(a, width, hidden, rank)
            for width, hidden in zip(a.attention_dims, a.feedforward_dims, strict=True)
        )
        self.norm = make_norm(a.norm, a.embed_dim)
        self.head = nn.Linear(a.embed_dim, a.classes)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        x, mask = in_slots(x, mask, self.constituents)
        tokens = torch.cat([self.class_token.expand(x.shape[0], 1, -1), self.embedding(x)], 1)
        mask = functional.pad(mask, (1, 0), value=True)
        for block in self.blocks:
            tokens = block(tokens, mask)
        logits: Tensor = self.head(self.norm(tokens[:, 0], mask[:, 0]))
        return logits

    def flops(self) -> int:
        """P F d, the blocks, and 2 d + C d."""
        d = self.head.in_features
        blocks = sum(block.flops() for block in each(self.blocks, LinformerBlock))
        return self.constituents * self.features * d + blocks + 2 * d + self.classes * d
