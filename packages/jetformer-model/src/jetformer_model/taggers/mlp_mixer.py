"""MLP-Mixer for jets: dense layers along the features in turn with one along the constituents.

    h   = act(Norm(W_2 act(Norm(W_1 x))))            along the features, F -> 16 -> F
    y   = x + Norm(M h)                              M [P, P] along the constituents
    z   = act(Norm(W_4 act(Norm(W_3 y))))            F -> 16 -> 16
    logits = MLP(sum_i a_i z_i)                      16-16-16-C

Source: C. Sun et al., "Fast Jet Tagging with MLP-Mixers on FPGAs", arXiv:2503.03103; widths as in the authors' code.

A mixer reads constituents by their place, so their order (falling pt) matters: it is part of the publication's point. A slot
without a constituent holds zeros and is mixed like the others, as published; what stands in padding is never read. Every
layer has a batch norm, folded into its weights in firmware. The publication gives no parameter count; ours has a scale and a
shift for each norm in place of a bias.
"""

from __future__ import annotations

from torch import Tensor, nn

from jetformer_model.taggers.perceptron import Perceptron
from jetformer_model.taggers.tagger import Tagger, in_slots


class MLPMixer(Tagger):
    """`hidden`: the width of all layers but those that go back to F features."""

    def __init__(self, constituents: int, features: int, classes: int, hidden: int = 16) -> None:
        super().__init__(constituents, features, classes)
        self.along_features = Perceptron(features, (hidden, features), norm=True)
        self.along_constituents = Perceptron(constituents, (constituents,), activate_last=False, norm=True)
        self.again_along_features = Perceptron(features, (hidden, hidden), norm=True)
        self.weights_of_places = nn.Linear(constituents, 1, bias=False)
        self.head = Perceptron(hidden, (hidden, hidden, hidden, classes), activate_last=False, norm=True)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        x, _ = in_slots(x, mask, self.constituents)
        mixed = self.along_constituents(self.along_features(x).transpose(1, 2)).transpose(1, 2)
        z = self.again_along_features(x + mixed)
        return self.head(self.weights_of_places(z.transpose(1, 2)).squeeze(-1))

    def flops(self) -> int:
        """P times the layers along features, F times the one along constituents, the weighted sum and the head."""
        along_features = self.along_features.flops(self.constituents)
        again = self.again_along_features.flops(self.constituents)
        mixing = self.along_constituents.flops(self.features)
        return along_features + mixing + again + self.constituents * self.head.widths[0] + self.head.flops()
