"""JetFormer.

    tokens = [class_token, W_e x + b_e]                                    no positional encoding
    block:  h = Norm(x);  q, k, v = W_q h, W_k h, W_v h                    H heads of a / H
            x = x + W_o softmax(q k^T / sqrt(a / H)) v + b_o               over real tokens only
            x = x + W_2 act(Norm(W_1 act(Norm(x))))
    logits = W_h Norm(x[class token]) + b_h

Unlike the published code, padding takes part in nothing (masks: True = real constituent), and the last block computes the
class token alone, since nothing else is read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from jetformer_model.config import Activation, Architecture, Norm
from jetformer_model.norm import TokenLayerNorm, make_norm
from jetformer_model.tokens import Packed, Padded, Ragged, pad

Layout = Padded | Packed
FUSED_WIDTHS = (16, 32, 64, 128)  # of `fused_tokens`


def activate(kind: Activation, x: Tensor) -> Tensor:
    """ReLU or SiLU."""
    return functional.relu(x) if kind == "relu" else functional.silu(x)


class Attention(nn.Module):
    """Multi-head attention over real tokens, with its norm before and without its residual sum.

    `heads` heads of `attention_dim / heads`. The scale follows the present width of q, so it is right after pruning.
    """

    def __init__(self, embed_dim: int, attention_dim: int, heads: int, norm: Norm) -> None:
        super().__init__()
        self.heads = heads
        self.norm = make_norm(norm, embed_dim)
        self.q = nn.Linear(embed_dim, attention_dim, bias=False)
        self.k = nn.Linear(embed_dim, attention_dim, bias=False)
        self.v = nn.Linear(embed_dim, attention_dim, bias=False)
        self.output = nn.Linear(attention_dim, embed_dim)

    def forward(self, x: Tensor, layout: Layout, class_only: bool) -> Tensor:
        """x [..., d] of all tokens -> [..., d] of all of them, or of the class tokens alone."""
        return self.output(self.attend(x, layout, class_only))

    def attend(self, x: Tensor, layout: Layout, class_only: bool) -> Tensor:
        """The same without W_o: [..., a]."""
        h = self.norm(x, layout.mask)
        # one product instead of three, which read h three times
        if isinstance(layout, Packed) and not class_only and type(self.q) is nn.Linear:
            q, k, v = functional.linear(h, torch.cat([self.q.weight, self.k.weight, self.v.weight])).chunk(
                3, -1
            )
        else:
            q, k, v = self.q(layout.class_tokens(h) if class_only else h), self.k(h), self.v(h)
        return layout.attend(q, k, v, self.heads)


class FeedForward(nn.Module):
    """W_2 act(Norm(W_1 act(Norm(x)))), without its residual sum."""

    def __init__(self, embed_dim: int, hidden_dim: int, norm: Norm, activation: Activation) -> None:
        super().__init__()
        self.activation = activation
        self.norm = make_norm(norm, embed_dim)
        self.expand = nn.Linear(embed_dim, hidden_dim, bias=False)
        self.expand_norm = make_norm(norm, hidden_dim)
        self.contract = nn.Linear(hidden_dim, embed_dim, bias=False)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """x [..., d], mask [...] (None: all real) -> [..., d]."""
        hidden = self.expand(activate(self.activation, self.norm(x, mask)))
        return self.contract(activate(self.activation, self.expand_norm(hidden, mask)))


class Block(nn.Module):
    """Attention and feed-forward, each with a residual sum."""

    def __init__(self, attention: Attention, feedforward: FeedForward, dropout: float) -> None:
        super().__init__()
        self.attention = attention
        self.feedforward = feedforward
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, layout: Layout, class_only: bool) -> Tensor:
        """x [..., d] of all tokens -> [..., d] of all of them, or of the class tokens alone."""
        if not class_only and self._fuses(x, layout):
            return self._fused(x, self.attention.attend(x, layout, class_only))
        attended = self.attention(x, layout, class_only)
        if class_only:
            x, layout = layout.class_tokens(x), layout.only_class_tokens()
        x = x + attended
        return self.dropout(x + self.feedforward(x, layout.mask))

    def _fuses(self, x: Tensor, layout: Layout) -> bool:
        """Whether one kernel can do all that follows the attention: in inference with 16 bits, in blocks as published."""
        d, feedforward = x.shape[-1], self.feedforward
        return (
            isinstance(layout, Packed)
            and not torch.is_grad_enabled()
            and type(feedforward.expand) is nn.Linear
            and x.dtype == feedforward.expand.weight.dtype
            and x.dtype in (torch.float16, torch.bfloat16)
            and d in FUSED_WIDTHS
            and self.attention.output.in_features == d
            and feedforward.expand.out_features == 2 * d
            and isinstance(feedforward.norm, TokenLayerNorm)
            and feedforward.activation == "silu"
        )

    def _fused(self, x: Tensor, attended: Tensor) -> Tensor:
        from jetformer_model.fused_tokens import after_attention

        f, output = self.feedforward, self.attention.output
        norms = (f.norm, f.expand_norm)
        (norm, norm_bias), (inner, inner_bias) = ((each.weight, each.bias) for each in norms)
        out: Tensor = after_attention(
            x, attended, output.weight, output.bias, norm, norm_bias,
            f.expand.weight, inner, inner_bias, f.contract.weight,
        )  # fmt: skip
        return out


class Head(nn.Module):
    """W_h Norm(class token) + b_h."""

    def __init__(self, embed_dim: int, classes: int, norm: Norm) -> None:
        super().__init__()
        self.norm = make_norm(norm, embed_dim)
        self.linear = nn.Linear(embed_dim, classes)

    def forward(self, token: Tensor) -> Tensor:
        """token [jets, d] -> logits [jets, classes]."""
        return self.linear(self.norm(token, None))


class JetFormer(nn.Module):
    """A JetFormer of the given architecture; see the module's formula."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        a = architecture
        self.architecture = a
        self.class_token = nn.Parameter(torch.randn(a.embed_dim) * a.embed_dim**-0.5)
        self.embedding = nn.Linear(a.features, a.embed_dim)
        self.blocks = nn.ModuleList(
            Block(
                Attention(a.embed_dim, attention_dim, a.heads, a.norm),
                FeedForward(a.embed_dim, hidden_dim, a.norm, a.activation),
                a.dropout,
            )
            for attention_dim, hidden_dim in zip(a.attention_dims, a.feedforward_dims, strict=True)
        )
        self.head = Head(a.embed_dim, a.classes, a.norm)

    def each_block(self) -> Iterator[Block]:
        """The blocks in order, typed."""
        yield from cast("Iterable[Block]", self.blocks)

    def forward(self, x: Tensor, where: Tensor | Ragged, *, every_token: bool = False) -> Tensor:
        """Logits [jets, classes] of a batch, padded or ragged; the same up to rounding.

        x: normalised; padded [jets, constituents, features], with `where` the mask [jets, constituents], True = real;
            or ragged [constituents of all jets, features], with `where` saying which rows are whose.
        every_token: compute all tokens in the last block too, as the published FLOP convention counts; same logits.

        On a GPU no work is done on the padding of a ragged batch; elsewhere it is padded.
        """
        if isinstance(where, Ragged) and not x.is_cuda:
            x, where = pad(x, where)
        tokens, layout = self._packed(x, where) if isinstance(where, Ragged) else self._padded(x, where)
        last = len(self.blocks) - 1
        for index, block in enumerate(self.blocks):
            tokens = block(tokens, layout, class_only=index == last and not every_token)
        if every_token:
            tokens = layout.class_tokens(tokens)
        return self.head(tokens.reshape(-1, tokens.shape[-1]))

    def _padded(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Layout]:
        tokens = torch.cat([self.class_token.expand(x.shape[0], 1, -1), self.embedding(x)], dim=1)
        return tokens, Padded(functional.pad(mask, (1, 0), value=True))

    def _packed(self, x: Tensor, where: Ragged) -> tuple[Tensor, Layout]:
        """Each jet's class token before its constituents."""
        offsets = where.offsets
        jets = len(offsets) - 1
        # Row i of x is token i + jet(i) + 1: the class tokens of its own jet and of those before it come first.
        places = torch.arange(len(x), device=x.device)
        places += torch.bucketize(places, offsets[1:], right=True) + 1
        embedded = self.embedding(x)
        tokens = self.class_token.to(embedded.dtype).repeat(len(x) + jets, 1).index_copy(0, places, embedded)
        return tokens, Packed(offsets + torch.arange(jets + 1, dtype=torch.int32, device=x.device))
