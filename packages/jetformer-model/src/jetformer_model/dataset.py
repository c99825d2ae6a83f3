"""Jets as a network takes them: chosen features, cut to P constituents, normalised, split."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from jetformer_data.padding import FEATURES
from jetformer_data.schema import Normalisation, Reader
from jetformer_data.splitting import file_mask, load
from jetformer_data.statistics import normalise, training_normalisation
from jetformer_model.checkpoint import fingerprint
from jetformer_model.errors import ModelError
from jetformer_model.inputs import Inputs
from jetformer_model.state import State

MIN_PT_GEV = 2.0


@dataclass(frozen=True)
class Dataset:
    """Jets in memory.

    x: [jets, constituents, features] float32, normalised, 0 where the mask is False
    mask: [jets, constituents] bool, True = real constituent
    labels: [jets] int64
    index: [jets] int64, the position of each jet in its file
    """

    x: Tensor
    mask: Tensor
    labels: Tensor
    index: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def constituents(self) -> int:
        """P."""
        return self.x.shape[1]

    def to(self, device: torch.device) -> Dataset:
        """The same jets on a device."""
        return Dataset(*(tensor.to(device) for tensor in (self.x, self.mask, self.labels, self.index)))

    def fingerprint(self) -> str:
        """Stands for the jets, to the last bit."""
        return fingerprint(self.x, self.mask, self.labels)

    def batches(
        self, size: int, generator: torch.Generator | None = None, rank: int = 0, world: int = 1
    ) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """(x, mask, labels) in turns of `size` jets; in an order drawn from `generator` where one is given.

        With `world` processes, `size` counts the jets of all, and each gets its share of every turn; a last turn too small
        for all of them is left out.
        """
        order = (
            torch.arange(len(self)) if generator is None else torch.randperm(len(self), generator=generator)
        )
        for turn in order.split(size):
            if len(turn) >= world:
                chosen = turn[rank::world]
                yield self.x[chosen], self.mask[chosen], self.labels[chosen]

    def head(self, jets: int) -> Dataset:
        """The first `jets` jets."""
        return Dataset(self.x[:jets], self.mask[:jets], self.labels[:jets], self.index[:jets])


class Jets(Protocol):
    """Jets that a network can be trained on: `Dataset` in memory, `StreamedJets` on disk."""

    @property
    def constituents(self) -> int: ...

    def __len__(self) -> int: ...

    def to(self, device: torch.device) -> Jets: ...

    def fingerprint(self) -> str: ...

    def batches(
        self, size: int, generator: torch.Generator | None = None, rank: int = 0, world: int = 1
    ) -> Iterator[tuple[Tensor, Any, Tensor]]: ...


@dataclass(frozen=True)
class TaggingData:
    """The training and validation split of one file, with what a state file must know about them."""

    train: Dataset
    validation: Dataset
    inputs: Inputs
    class_names: tuple[str, ...]


def tagging_data(
    path: str | os.PathLike[str],
    *,
    constituents: int,
    features: Sequence[str] = FEATURES,
    min_pt_gev: float = MIN_PT_GEV,
) -> TaggingData:
    """Training and validation jets of an array-schema file, normalised by the training split's statistics."""
    normalisation = training_normalisation(path, constituents, features, min_pt_gev)
    with Reader(path) as reader:
        units = dict(zip(reader.feature_names, reader.feature_units, strict=True))
        class_names = reader.class_names
    inputs = Inputs(
        features=tuple(features),
        units=tuple(units[name] for name in features),
        mean=tuple(normalisation.mean.tolist()),
        std=tuple(normalisation.std.tolist()),
        min_pt_gev=min_pt_gev,
    )
    return _training_splits(path, inputs, constituents, class_names)


def tagging_data_for(state: State, path: str | os.PathLike[str]) -> TaggingData:
    """Training and validation jets as the network of `state` takes them, with its normalisation.

    Raises ModelError if the file has other classes.
    """
    return _training_splits(path, state.inputs, state.constituents, state.class_names)


def open_split(
    path: str | os.PathLike[str],
    split: str,
    inputs: Inputs,
    constituents: int,
    class_names: Sequence[str] | None = None,
) -> Dataset:
    """One split of a file as a network with these inputs takes it.

    Raises ModelError if the split is empty, or if `class_names` is given and the file's classes differ.
    """
    jets = load(path, split, constituents, inputs.features, inputs.min_pt_gev)
    if class_names is not None and jets.class_names != tuple(class_names):
        raise ModelError(
            f"{path}: its classes are {', '.join(jets.class_names)}, the network's are {', '.join(class_names)}"
        )
    if len(jets) == 0:
        raise ModelError(f"{path}: no jets in the {split} split")
    with Reader(path) as reader:
        index = np.flatnonzero(file_mask(reader, split))
    x = normalise(jets.x, jets.mask, Normalisation(np.array(inputs.mean), np.array(inputs.std)))
    return Dataset(*(torch.from_numpy(array) for array in (x, jets.mask, jets.labels, index)))


def file_sha256(path: str | os.PathLike[str]) -> str:
    """SHA-256 of a file, read in pieces: which jets a result was made from."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _training_splits(
    path: str | os.PathLike[str], inputs: Inputs, constituents: int, class_names: Sequence[str]
) -> TaggingData:
    train = open_split(path, "train", inputs, constituents, class_names)
    validation = open_split(path, "validation", inputs, constituents, class_names)
    return TaggingData(train, validation, inputs, tuple(class_names))
