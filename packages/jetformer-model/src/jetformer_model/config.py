"""The architecture of a JetFormer as plain numbers, and the presets of the publication."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal

from jetformer_model.errors import ModelError

Norm = Literal["batch", "layer"]
Activation = Literal["relu", "silu"]


@dataclass(frozen=True)
class Architecture:
    """Everything needed to rebuild a network, pruned ones included.

    With T = P + 1 tokens (the class token first) and L blocks:

    constituents: P, the constituents that a jet is cut or padded to
    features: F, numbers a constituent
    embed_dim: d, the width of the residual stream
    heads: H, heads in each block
    classes: C
    attention_dims: a, the width of q, k and v in each block; H divides it; a = d unless pruned
    feedforward_dims: m, the hidden width in each block; m = 2 d unless pruned
    norm: "batch" (masked batch norm) or "layer"
    activation: "relu" or "silu"
    dropout: after each block, in training
    """

    constituents: int
    features: int
    embed_dim: int
    heads: int
    classes: int
    attention_dims: tuple[int, ...]
    feedforward_dims: tuple[int, ...]
    norm: Norm = "batch"
    activation: Activation = "relu"
    dropout: float = 0.0

    def __post_init__(self) -> None:
        for name in ("constituents", "features", "embed_dim", "heads", "classes"):
            _expect(getattr(self, name) >= 1, name, "at least 1", getattr(self, name))
        _expect(len(self.attention_dims) >= 1, "attention_dims", "at least one block", self.attention_dims)
        _expect(
            len(self.attention_dims) == len(self.feedforward_dims),
            "feedforward_dims",
            f"one width for each of the {len(self.attention_dims)} blocks",
            self.feedforward_dims,
        )
        for width in self.attention_dims:
            _expect(
                width >= 1 and width % self.heads == 0,
                "attention_dims",
                f"multiples of {self.heads} heads",
                width,
            )
        for width in self.feedforward_dims:
            _expect(width >= 1, "feedforward_dims", "at least 1", width)
        _expect(self.norm in ("batch", "layer"), "norm", "batch or layer", self.norm)
        _expect(self.activation in ("relu", "silu"), "activation", "relu or silu", self.activation)
        _expect(0 <= self.dropout < 1, "dropout", "a number in [0, 1)", self.dropout)

    @classmethod
    def uniform(
        cls,
        *,
        blocks: int,
        embed_dim: int,
        attention_dim: int | None = None,
        feedforward_ratio: int = 2,
        **others: Any,
    ) -> Architecture:
        """An architecture whose blocks are all alike: q, k and v as wide as the stream, the hidden layer `feedforward_ratio`
        times that."""
        return cls(
            embed_dim=embed_dim,
            attention_dims=(attention_dim or embed_dim,) * blocks,
            feedforward_dims=(feedforward_ratio * embed_dim,) * blocks,
            **others,
        )

    @property
    def blocks(self) -> int:
        """L, the number of blocks."""
        return len(self.attention_dims)

    @property
    def tokens(self) -> int:
        """T = P + 1: the class token and the constituents."""
        return self.constituents + 1

    def to_dict(self) -> dict[str, Any]:
        """As stored in the header of a state file."""
        return {"name": "jetformer"} | dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, stored: dict[str, Any]) -> Architecture:
        """Inverse of `to_dict`. Raises ModelError for another network's name or for missing entries."""
        if stored.get("name") != "jetformer":
            raise ModelError(f"architecture 'name': expected 'jetformer', got {stored.get('name')!r}")
        fields = {field.name for field in dataclasses.fields(cls)}
        values = {key: value for key, value in stored.items() if key in fields}
        if missing := sorted(fields - {"dropout"} - set(values)):
            raise ModelError(f"architecture: expected an entry {missing[0]!r}, found none")
        try:
            for key in ("attention_dims", "feedforward_dims"):
                values[key] = tuple(int(width) for width in values[key])
            return cls(**values)
        except (TypeError, ValueError) as error:
            raise ModelError(f"architecture: {error}") from error


PRESETS: dict[str, dict[str, Any]] = {
    "tiny": {
        "blocks": 4,
        "embed_dim": 8,
        "heads": 2,
        "constituents": 8,
        "norm": "batch",
        "activation": "relu",
    },
    "150p": {
        "blocks": 3,
        "embed_dim": 64,
        "heads": 2,
        "constituents": 32,
        "norm": "layer",
        "activation": "silu",
    },
    "jetclass": {
        "blocks": 10,
        "embed_dim": 128,
        "heads": 8,
        "constituents": 128,
        "norm": "layer",
        "activation": "silu",
    },
}


def preset(name: str, *, features: int, classes: int, **overrides: Any) -> Architecture:
    """The preset `name`, for data with so many features and classes; `overrides` replace single entries.

    >>> preset("tiny", features=3, classes=5).embed_dim
    8
    """
    if name not in PRESETS:
        raise ModelError(f"preset {name!r}: expected one of {', '.join(PRESETS)}")
    chosen = {key: value for key, value in overrides.items() if value is not None}
    return Architecture.uniform(features=features, classes=classes, **(PRESETS[name] | chosen))


def _expect(condition: bool, name: str, expected: str, got: object) -> None:
    if not condition:
        raise ModelError(f"architecture {name!r}: expected {expected}, got {got}")
