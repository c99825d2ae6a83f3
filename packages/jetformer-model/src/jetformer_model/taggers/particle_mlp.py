"""Particle MLP: logits = MLP([x_1, ..., x_P]).

Source: P. Odagiu et al., "Ultrafast jet classification at the HL-LHC", arXiv:2402.01876; for 64-32-32, the MLP that the
JetFormer publication puts on an FPGA.

Constituents are concatenated in their order, so the order matters; slots without a constituent hold zeros, as published.

Widths of the publication's three networks follow its configuration files. At 8 constituents these say 120 for the first
layer, which makes 26,401 parameters where the publication has 26,826; 125 is the only single width that gives the published
number, and is what stands here.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from jetformer_model.taggers.perceptron import Perceptron
from jetformer_model.taggers.tagger import Tagger, in_slots

# constituents: widths of the hidden layers
PUBLISHED_WIDTHS: dict[int, tuple[int, ...]] = {
    8: (125, 60, 32, 64, 64, 64, 32, 44),
    16: (88, 88, 44, 44, 44),
    32: (84, 88, 32, 32, 44, 32, 44),
}


class ParticleMLP(Tagger):
    """Dense layers over the first P constituents. `widths`: of the hidden layers; those published for the nearest smaller P
    if not given."""

    def __init__(
        self, constituents: int, features: int, classes: int, widths: Sequence[int] | None = None
    ) -> None:
        super().__init__(constituents, features, classes)
        widths = widths or published_for(PUBLISHED_WIDTHS, constituents)
        self.layers = Perceptron(constituents * features, (*widths, classes), activate_last=False)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        x, _ = in_slots(x, mask, self.constituents)
        return self.layers(x.flatten(1))

    def flops(self) -> int:
        """P F w_1 + w_1 w_2 + ... + w_n C."""
        return self.layers.flops()


def published_for(published: dict[int, tuple[int, ...]], constituents: int) -> tuple[int, ...]:
    """The sizes published for the largest number of constituents that is not above this one (else for the smallest)."""
    known = [number for number in sorted(published) if number <= constituents]
    return published[known[-1] if known else min(published)]
