"""What Particle Transformer knows of a pair of constituents, and how it becomes a bias of the attention.

    Delta = sqrt(deta^2 + dphi^2),                 deta = eta_a - eta_b,  dphi = phi_a - phi_b
    k_T = min(pt_a, pt_b) Delta,                   z = min(pt_a, pt_b) / (pt_a + pt_b)
    m^2 = |p_a + p_b|^2 = 2 pt_a pt_b (cosh deta - cos dphi)
    U_ab = g(ln Delta, ln k_T, ln z, ln m^2),      g: GELU(Norm(W .)) of widths 64-64-64-heads, a norm before it

Source: H. Qu, C. Li, S. Qian, "Particle Transformer for Jet Tagging", arXiv:2202.03772, equation 3. Constituents are taken
as massless, so that rapidity is pseudorapidity; the publication has measured energies, hence the mass of single particles
too.

U is symmetric: one half of the square and its diagonal, P (P + 1) / 2 pairs, is computed and written to both places.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from jetformer_model.taggers.kinematics import wrapped
from jetformer_model.taggers.rows import RowNorm

FEATURES = 4
SMALLEST = 1e-8  # the logarithm's argument for what is zero: a constituent with itself
Pairs = Literal["real", "all", "square"]


def pair_features(a: Sequence[Tensor], b: Sequence[Tensor]) -> Tensor:
    """(ln Delta, ln k_T, ln z, ln m^2) for constituents a and b, each (pt, eta, phi) of one shape: [*shape, 4].

    pt in GeV, m^2 in GeV^2; natural logarithms.
    """
    (pt_a, eta_a, phi_a), (pt_b, eta_b, phi_b) = a, b
    eta, phi = eta_a - eta_b, wrapped(phi_a - phi_b)
    delta, softer = (eta.square() + phi.square()).sqrt(), torch.minimum(pt_a, pt_b)
    share = softer / (pt_a + pt_b).clamp(min=SMALLEST)
    # cosh x - cos y as squares of the half angles: nothing cancels where they are small
    mass_squared = 4 * pt_a * pt_b * ((eta / 2).sinh().square() + (phi / 2).sin().square())
    found = torch.stack([delta, softer * delta, share, mass_squared], -1)
    return found.clamp(min=SMALLEST).log()


class PairBias(nn.Module):
    """U for each head.

    pairs: "real": pairs of two real constituents are computed and normed, and no others; "all": all pairs of slots, as in
        the published code, whose norms in training count padding too; "square": these and their mirror images, without
        a search for places, as a graph for any number of constituents needs it. In evaluation all give the same logits.
    """

    def __init__(self, heads: int, widths: Sequence[int] = (64, 64, 64), pairs: Pairs = "real") -> None:
        super().__init__()
        self.pairs = pairs
        self.widths = (FEATURES, *widths, heads)
        self.input_norm = RowNorm(FEATURES)
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(self.widths))
        self.norms = nn.ModuleList(RowNorm(width) for width in self.widths[1:])

    def forward(self, momenta: Sequence[Tensor], mask: Tensor) -> Tensor:
        """(pt, eta, phi), each [jets, constituents], and mask -> U [jets, heads, constituents, constituents]."""
        if self.pairs == "square":
            return self._of_square(momenta)
        return self._of_real(momenta, mask) if self.pairs == "real" else self._of_all(momenta)

    def _of_real(self, momenta: Sequence[Tensor], mask: Tensor) -> Tensor:
        jet, a, b = (mask.unsqueeze(2) & mask.unsqueeze(1)).tril().nonzero(as_tuple=True)
        rows = self._embed(pair_features([q[jet, a] for q in momenta], [q[jet, b] for q in momenta]))
        square = rows.new_zeros(*mask.shape, mask.shape[1], rows.shape[-1])
        square.index_put_((jet, a, b), rows).index_put_((jet, b, a), rows)
        return square.permute(0, 3, 1, 2).contiguous()

    def _of_all(self, momenta: Sequence[Tensor]) -> Tensor:
        jets, number = momenta[0].shape
        a, b = torch.tril_indices(number, number, device=momenta[0].device)
        rows = self._embed(
            pair_features([q[:, a] for q in momenta], [q[:, b] for q in momenta]).flatten(0, 1)
        )
        place = torch.empty(number, number, dtype=torch.int64, device=a.device)
        place[a, b] = place[b, a] = torch.arange(len(a), device=a.device)
        square = rows.view(jets, len(a), rows.shape[-1]).index_select(1, place.flatten())
        return square.unflatten(1, (number, number)).permute(0, 3, 1, 2).contiguous()

    def _of_square(self, momenta: Sequence[Tensor]) -> Tensor:
        pairs = pair_features([q.unsqueeze(2) for q in momenta], [q.unsqueeze(1) for q in momenta])
        rows = self._embed(pairs.flatten(0, 2))
        return rows.view(*pairs.shape[:3], rows.shape[-1]).permute(0, 3, 1, 2).contiguous()

    def _embed(self, rows: Tensor) -> Tensor:
        rows = self.input_norm(rows)
        for layer, norm in zip(self.layers, self.norms, strict=True):
            rows = functional.gelu(norm(layer(rows)))
        return rows

    def flops(self, constituents: int) -> int:
        """P (P + 1) / 2 times the layers and the norms."""
        layers = sum(a * b for a, b in pairwise(self.widths)) + 2 * sum(self.widths)
        return constituents * (constituents + 1) // 2 * layers
