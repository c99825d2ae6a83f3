"""How the tokens of a batch lie in memory: padded to one length, or packed end to end with nothing between.

Both say the same three things to the network: which tokens are real, which are class tokens, and how a token attends to
those of its own jet. The class token is the first of each jet.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class Padded:
    """Tokens [jets, tokens, d] with a mask [jets, tokens], True = real."""

    mask: Tensor

    def class_tokens(self, x: Tensor) -> Tensor:
        """[jets, tokens, d] -> [jets, 1, d]."""
        return x[:, :1]

    def only_class_tokens(self) -> Padded:
        """The layout of the class tokens alone."""
        return Padded(self.mask[:, :1])

    def attend(self, q: Tensor, k: Tensor, v: Tensor, heads: int) -> Tensor:
        """softmax(q k^T / sqrt(a / H)) v over the real tokens of the same jet: q [jets, queries, a] -> the same shape."""
        q, k, v = (x.unflatten(-1, (heads, -1)).transpose(1, 2) for x in (q, k, v))
        attended = functional.scaled_dot_product_attention(q, k, v, attn_mask=self.mask[:, None, None, :])
        return attended.transpose(1, 2).flatten(2)


@dataclass(frozen=True)
class Packed:
    """Tokens [all tokens, d]; those of jet j are the rows offsets[j]:offsets[j + 1].

    offsets: [jets + 1] int32
    """

    offsets: Tensor
    mask: None = None

    def class_tokens(self, x: Tensor) -> Tensor:
        """[all tokens, d] -> [jets, d]."""
        return x[self.offsets[:-1]]

    def only_class_tokens(self) -> Packed:
        """The layout of the class tokens alone."""
        return Packed(torch.arange(len(self.offsets), dtype=torch.int32, device=self.offsets.device))

    def attend(self, q: Tensor, k: Tensor, v: Tensor, heads: int) -> Tensor:
        """As of `Padded`; q has a row for each token, or one for each class token. CUDA only."""
        from jetformer_model.packed_attention import packed_attention

        one_query = len(q) < len(k)
        offsets = self.only_class_tokens().offsets if one_query else self.offsets
        attended: Tensor = packed_attention(q, k, v, offsets, self.offsets, heads, one_query)[0]
        return attended


@dataclass(frozen=True)
class Ragged:
    """Which rows of a ragged batch are whose: those of jet j are offsets[j]:offsets[j + 1], at most `longest`.

    offsets: [jets + 1] int32
    """

    offsets: Tensor
    longest: int


def pad(x: Tensor, where: Ragged) -> tuple[Tensor, Tensor]:
    """Ragged rows [rows, features] -> [jets, longest, features], zeros where the mask [jets, longest] is False."""
    mask = torch.arange(where.longest, device=x.device) < where.offsets.diff()[:, None]
    padded = x.new_zeros(*mask.shape, x.shape[-1])
    padded[mask] = x
    return padded, mask
