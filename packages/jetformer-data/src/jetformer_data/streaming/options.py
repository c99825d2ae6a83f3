"""What a stream hands out, and in which order."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, fields
from typing import Any

from jetformer_data.errors import DataError
from jetformer_data.jets import Normalisation
from jetformer_data.splitting import FRACTIONS
from jetformer_data.streaming.weighting import WeightTable


@dataclass(frozen=True, eq=False)
class StreamOptions:
    """What comes in which order.

    batch               jets in a batch
    features            names of constituents' features, in this order; None: all
    jet_features        names of features of whole jets
    max_constituents    the first so many of each jet; None: all
    min_pt              GeV; constituents below are dropped first
    normalise           True: by the constants that the files hold; or constants for `features`
    split               train, validation, test or all; with `fractions` and `stratified` as in `splitting`
    shuffle             False: jets in the order of the files
    drop_last           True: full batches only, as many on each rank
    seed                of the order
    rank, world_size    this process takes one of `world_size` equal parts
    block               consecutive jets that are read in one go; None: as many as make about 400 kB
    window              blocks that are shuffled together; each worker holds two windows, the consumer one or two
    weights             a table of weights: each jet comes with its weight
    resample            above 0: instead, a jet of the largest weight comes so many times an epoch on average, and others
                        in proportion to their weights
    """

    batch: int = 512
    features: tuple[str, ...] | None = None
    jet_features: tuple[str, ...] = ()
    max_constituents: int | None = None
    min_pt: float = 0.0
    normalise: bool | Normalisation = False
    split: str = "all"
    fractions: tuple[float, ...] = FRACTIONS
    stratified: bool = False
    shuffle: bool = True
    drop_last: bool = False
    seed: int = 0
    rank: int = 0
    world_size: int = 1
    block: int | None = None
    window: int = 128
    weights: WeightTable | None = None
    resample: float = 0.0

    def __post_init__(self) -> None:
        for name, least in (
            ("batch", 1),
            ("max_constituents", 1),
            ("block", 1),
            ("window", 1),
            ("world_size", 1),
        ):
            value = getattr(self, name)
            if value is not None and value < least:
                raise DataError(f"{name}: expected at least {least}, got {value}")
        for name in ("seed", "rank", "resample", "min_pt"):
            if getattr(self, name) < 0:
                raise DataError(f"{name}: expected 0 or more, got {getattr(self, name)}")
        if self.rank >= self.world_size:
            raise DataError(f"rank {self.rank}: expected less than the world size {self.world_size}")
        if self.resample and self.weights is None:
            raise DataError("resample: needs a table of weights")

    def described(self) -> dict[str, Any]:
        """What JSON says of the options: two that are described alike give the same batches."""
        plain = {field.name: getattr(self, field.name) for field in fields(self)}
        if isinstance(self.normalise, Normalisation):
            plain["normalise"] = [self.normalise.mean.tolist(), self.normalise.std.tolist()]
        if self.weights is not None:
            plain["weights"] = hashlib.sha256(json.dumps(self.weights.to_dict()).encode()).hexdigest()
        return dict(json.loads(json.dumps(plain)))
