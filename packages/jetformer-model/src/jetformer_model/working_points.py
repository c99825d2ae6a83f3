"""At which signal efficiency, and against which background, the rejection of each class is reported.

Where there is QCD, the convention of JetClass (H. Qu, C. Li, S. Qian, "Particle Transformer for Jet Tagging",
arXiv:2202.03772): each other class against QCD alone, with the score p_S / (p_S + p_QCD), at 50 % signal efficiency, but at
99 % for Hqql and at 99.5 % for Tbl. Several classes QCD_... count as one, with the sum of their probabilities.
Elsewhere: each class against all others, at 50 %.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jetformer_model.metrics import SIGNAL_EFFICIENCY, Ranking

JETCLASS_EFFICIENCIES = {"Hqql": 0.99, "Tbl": 0.995}
QCD = "QCD"


@dataclass(frozen=True)
class WorkingPoint:
    """A class (its name and its number), the numbers of the classes that are its background, and what these are called."""

    name: str
    signal: int
    backgrounds: tuple[int, ...]
    against: str
    signal_efficiency: float

    def ranking(self, logits: NDArray[np.float64], labels: NDArray[np.int64]) -> Ranking:
        """Jets of the signal and the background by p_S / (p_S + p_B)."""
        background = list(self.backgrounds)
        # The logarithm of p_S / p_B, which puts jets in the same order and does not saturate.
        score = logits[:, self.signal] - np.logaddexp.reduce(logits[:, background], axis=1)
        return Ranking(score, labels == self.signal, np.isin(labels, background))

    def as_dict(self) -> dict[str, Any]:
        """How the rejection at this point is defined."""
        return {"signal_efficiency": self.signal_efficiency, "against": self.against}


def working_points(class_names: Sequence[str]) -> tuple[WorkingPoint, ...]:
    """The working point of each class that has one."""
    numbers = range(len(class_names))
    qcd = tuple(k for k in numbers if class_names[k].split("_")[0] == QCD)
    if not qcd or len(qcd) == len(class_names):
        return tuple(
            WorkingPoint(class_names[k], k, tuple(j for j in numbers if j != k), "rest", SIGNAL_EFFICIENCY)
            for k in numbers
        )
    return tuple(
        WorkingPoint(name, k, qcd, QCD, JETCLASS_EFFICIENCIES.get(name, SIGNAL_EFFICIENCY))
        for k, name in enumerate(class_names)
        if k not in qcd
    )
