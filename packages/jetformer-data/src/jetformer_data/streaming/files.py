"""Files of jets as streams know them: names and places, without an open handle."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from jetformer_data.errors import DataError, SchemaError
from jetformer_data.jets import Normalisation
from jetformer_data.places import Rows
from jetformer_data.schema import Reader
from jetformer_data.splitting import SplitRule, split_rule
from jetformer_data.streaming.options import StreamOptions


@dataclass(frozen=True, eq=False)
class StreamFile:
    """What is known of a file once it was opened: no handle of it stays open."""

    path: Path
    first: int  # place of its first jet in all files
    jets: int
    class_names: tuple[str, ...]
    feature_names: tuple[str, ...]
    jet_feature_names: tuple[str, ...]
    normalisation: Normalisation | None
    rule: SplitRule
    constituents: Rows
    offsets: Rows
    labels: Rows
    groups: Rows | None
    jet_features: Rows | None


def open_files(paths: list[Path], options: StreamOptions) -> list[StreamFile]:
    files: list[StreamFile] = []
    for path in paths:
        with Reader(path) as reader:
            file = StreamFile(
                path,
                files[-1].first + files[-1].jets if files else 0,
                len(reader),
                reader.class_names,
                reader.feature_names,
                reader.jet_feature_names,
                reader.normalisation,
                split_rule(reader, options.split, options.fractions, options.stratified),
                reader.rows("constituents"),
                reader.rows("offsets"),
                reader.rows("labels"),
                reader.rows("groups") if reader.has_groups else None,
                reader.rows("jet_features") if reader.jet_feature_names else None,
            )
        for name in ("class_names", "feature_names", "jet_feature_names"):
            here, there = getattr(file, name), getattr((files or [file])[0], name)
            if here != there:
                raise SchemaError(
                    f"{path}: '{name}' are {', '.join(here)}; those of {paths[0]} are {', '.join(there)}"
                )
        files.append(file)
    if options.weights is not None and options.weights.class_names != files[0].class_names:
        raise DataError(f"the table of weights is for other classes than those of {paths[0]}")
    return files


def common_normalisation(
    files: list[StreamFile], columns: list[int], options: StreamOptions
) -> Normalisation | None:
    """Constants of the chosen features."""
    if isinstance(options.normalise, Normalisation):
        if not len(options.normalise.mean) == len(options.normalise.std) == len(columns):
            raise DataError(f"normalise: {len(options.normalise.mean)} constants for {len(columns)} features")
        return options.normalise
    if not options.normalise:
        return None
    stored = [file.normalisation for file in files]
    if stored[0] is None:
        raise DataError(f"{files[0].path}: holds no normalisation; see jetformer_data.training_normalisation")
    for file, constants in zip(files, stored, strict=True):
        if constants is None or any(
            not np.array_equal(getattr(constants, name), getattr(stored[0], name)) for name in ("mean", "std")
        ):
            raise DataError(
                f"{file.path}: has another normalisation than {files[0].path}; see jetformer_data.training_normalisation"
            )
    return Normalisation(stored[0].mean[columns], stored[0].std[columns])


def usual_block(files: list[StreamFile], size: int) -> int:
    """Jets that make about `size` bytes of constituents."""
    jets = sum(file.jets for file in files)
    numbers = sum(file.constituents.length for file in files) * len(files[0].feature_names)
    return max(1, jets * size // max(1, 4 * numbers))
