"""Jets that stay on disk while a network trains on them: any number of files, in little memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from jetformer_data.filesets import Paths, find_files
from jetformer_data.jets import Normalisation, feature_columns
from jetformer_data.schema import Reader
from jetformer_data.splitting import file_mask
from jetformer_data.streaming import Stream, StreamOptions
from jetformer_model.dataset import Dataset, TaggingData, open_split, tagging_data
from jetformer_model.errors import ModelError
from jetformer_model.inputs import Inputs
from jetformer_model.tokens import Ragged

_CPU = torch.device("cpu")


@dataclass(frozen=True)
class StreamedJets:
    """One split of some files, as `Dataset` but read while it is used.

    jets: how many there are
    ragged: hand out ragged batches, for networks that take them
    """

    paths: Paths
    split: str
    inputs: Inputs
    constituents: int
    jets: int
    ragged: bool = False
    device: torch.device = _CPU
    seed: int = 0
    # A stream reads the heads of all files and counts their jets: once, and not in every epoch.
    _streams: dict[tuple[int, bool, int, int], Stream] = field(
        default_factory=dict, repr=False, compare=False
    )

    def __len__(self) -> int:
        return self.jets

    def to(self, device: torch.device) -> StreamedJets:
        """The same, with batches on a device."""
        return replace(self, device=device)

    def fingerprint(self) -> str:
        """Stands for files and order."""
        stream = self._stream(1, shuffle=True)
        stream.set_epoch(0)
        return str(stream.state_dict())

    def batches(
        self, size: int, generator: torch.Generator | None = None, rank: int = 0, world: int = 1
    ) -> Iterator[tuple[Tensor, Tensor | Ragged, Tensor]]:
        """(x, mask or `Ragged`, labels); `size` jets over all processes, in an order drawn from `generator`, if given."""
        stream = self._stream(max(1, size // world), generator is not None, rank, world)
        stream.set_epoch(0 if generator is None else int(torch.randint(1 << 31, (), generator=generator)))
        for batch in stream:
            labels = torch.from_numpy(batch.labels)
            where: Tensor | Ragged
            if self.ragged:
                x = torch.from_numpy(batch.constituents)
                offsets = torch.from_numpy(batch.offsets.astype(np.int32)).to(self.device)
                where = Ragged(offsets, self.constituents)
            else:
                x, where = (torch.from_numpy(array) for array in batch.dense(self.constituents))
                where = where.to(self.device)
            yield x.to(self.device), where, labels.to(self.device)

    def _stream(self, size: int, shuffle: bool, rank: int = 0, world: int = 1) -> Stream:
        key = (size, shuffle, rank, world)
        if key not in self._streams:
            self._streams[key] = Stream(self.paths, self._options(*key))
        return self._streams[key]

    def _options(self, size: int, shuffle: bool, rank: int, world: int) -> StreamOptions:
        return StreamOptions(
            batch=size,
            features=self.inputs.features,
            max_constituents=self.constituents,
            min_pt=self.inputs.min_pt_gev,
            normalise=Normalisation(np.array(self.inputs.mean), np.array(self.inputs.std)),
            split=self.split,
            shuffle=shuffle,
            seed=self.seed,
            rank=rank,
            world_size=world,
        )


@dataclass(frozen=True)
class StreamedData:
    """As `TaggingData`, with jets that stay on disk."""

    train: StreamedJets
    validation: StreamedJets
    inputs: Inputs
    class_names: tuple[str, ...]


def training_data(
    paths: Sequence[Path],
    *,
    constituents: int,
    features: tuple[str, ...],
    min_pt_gev: float,
    stream: bool = False,
    ragged: bool = False,
) -> TaggingData | StreamedData:
    """Training and validation jets: in memory where they are one file, on disk where there are more or `stream` says so."""
    if not stream and len(paths) == 1 and paths[0].is_file():
        return tagging_data(paths[0], constituents=constituents, features=features, min_pt_gev=min_pt_gev)
    cut = min_pt_gev if "pt" in features else 0.0
    return streamed_data(paths, constituents=constituents, features=features, min_pt_gev=cut, ragged=ragged)


def test_jets(
    paths: Sequence[Path], inputs: Inputs, constituents: int, class_names: Sequence[str]
) -> Dataset | StreamedJets:
    """The test split as a network with these inputs takes it: in memory where it is of one file, on disk otherwise."""
    if len(paths) == 1 and paths[0].is_file():
        return open_split(paths[0], "test", inputs, constituents, class_names)
    return StreamedJets(paths, "test", inputs, constituents, _count(paths, "test"))


def streamed_data(
    paths: Paths, *, constituents: int, features: tuple[str, ...], min_pt_gev: float, ragged: bool
) -> StreamedData:
    """Training and validation jets of some files, normalised by the constants that the files hold."""
    with Reader(find_files(paths)[0]) as reader:
        columns = feature_columns(features, reader.feature_names)
        if reader.normalisation is None:
            raise ModelError(f"{reader.path}: holds no normalisation; write it with jetformer-data")
        inputs = Inputs(
            features=features,
            units=tuple(reader.feature_units[i] for i in columns),
            mean=tuple(reader.normalisation.mean[columns].tolist()),
            std=tuple(reader.normalisation.std[columns].tolist()),
            min_pt_gev=min_pt_gev,
        )
        class_names = reader.class_names
    train, validation = (
        StreamedJets(paths, split, inputs, constituents, _count(paths, split), ragged)
        for split in ("train", "validation")
    )
    return StreamedData(train, validation, inputs, class_names)


def _count(paths: Paths, split: str) -> int:
    jets = 0
    for path in find_files(paths):
        with Reader(path) as reader:
            jets += int(file_mask(reader, split).sum())
    if not jets:
        raise ModelError(f"{paths}: no jets in the {split} split")
    return jets
