"""The space that is searched: the 96 architectures of the publication, with 30 different FLOP counts."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

from optuna.trial import BaseTrial

from jetformer_model.config import Activation, Architecture, Norm

BLOCKS = range(1, 7)
# (embed_dim, heads): they go together, since heads must divide the width
WIDTHS = ((8, 2), (16, 2), (32, 2), (64, 2), (64, 4), (128, 2), (128, 4), (128, 8))
DROPOUTS = (0.0, 0.05)


@dataclass(frozen=True, order=True)
class Point:
    """One architecture of the space.

    blocks: L
    embed_dim, heads: d and H, one of WIDTHS
    dropout: after each block, in training; it costs no FLOPs
    """

    blocks: int
    embed_dim: int
    heads: int
    dropout: float

    def parameters(self) -> dict[str, Any]:
        """As Optuna stores them.

        >>> Point(blocks=4, embed_dim=8, heads=2, dropout=0.0).parameters()
        {'blocks': 4, 'embed_dim/heads': '8/2', 'dropout': 0.0}
        """
        return {
            "blocks": self.blocks,
            "embed_dim/heads": f"{self.embed_dim}/{self.heads}",
            "dropout": self.dropout,
        }

    @classmethod
    def from_parameters(cls, stored: dict[str, Any]) -> Point:
        """Inverse of `parameters`."""
        embed_dim, heads = stored["embed_dim/heads"].split("/")
        return cls(stored["blocks"], int(embed_dim), int(heads), stored["dropout"])

    def architecture(
        self,
        *,
        constituents: int,
        features: int,
        classes: int,
        norm: Norm = "batch",
        activation: Activation = "relu",
    ) -> Architecture:
        """The network of this point for P constituents with F features and C classes."""
        return Architecture.uniform(
            blocks=self.blocks,
            embed_dim=self.embed_dim,
            heads=self.heads,
            dropout=self.dropout,
            constituents=constituents,
            features=features,
            classes=classes,
            norm=norm,
            activation=activation,
        )


def points() -> list[Point]:
    """All points, in a fixed order.

    >>> len(points())
    96
    """
    return [
        Point(blocks, *width, dropout)
        for blocks, width, dropout in itertools.product(BLOCKS, WIDTHS, DROPOUTS)
    ]


def suggest(trial: BaseTrial) -> Point:
    """The point that Optuna proposes for this trial."""
    blocks = trial.suggest_int("blocks", BLOCKS[0], BLOCKS[-1])
    width = trial.suggest_categorical(
        "embed_dim/heads", [f"{embed_dim}/{heads}" for embed_dim, heads in WIDTHS]
    )
    dropout = trial.suggest_categorical("dropout", DROPOUTS)
    return Point.from_parameters({"blocks": blocks, "embed_dim/heads": width, "dropout": dropout})
