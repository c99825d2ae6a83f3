"""Deep Sets: logits = rho(mean_i phi(x_i)).

Source: P. Odagiu et al., "Ultrafast jet classification at the HL-LHC", arXiv:2402.01876, after M. Zaheer et al.,
arXiv:1703.06114. phi: 32-32-32, rho: 32-C, ReLU.

The published mean runs over all P slots, empty ones too; ours over the real constituents alone.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from jetformer_model.taggers.perceptron import Perceptron
from jetformer_model.taggers.tagger import Tagger, mean_over_constituents, without_padding


class DeepSets(Tagger):
    """`phi_widths` and `rho_widths`: of the layers before the mean, and of the hidden ones after it."""

    def __init__(
        self,
        constituents: int,
        features: int,
        classes: int,
        phi_widths: Sequence[int] = (32, 32, 32),
        rho_widths: Sequence[int] = (32,),
    ) -> None:
        super().__init__(constituents, features, classes)
        self.phi = Perceptron(features, phi_widths)
        self.rho = Perceptron(phi_widths[-1], (*rho_widths, classes), activate_last=False)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        return self.rho(mean_over_constituents(self.phi(without_padding(x, mask)), mask))

    def flops(self) -> int:
        """P times phi, and rho."""
        return self.phi.flops(self.constituents) + self.rho.flops()
