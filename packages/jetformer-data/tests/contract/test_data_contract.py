"""This package's own writers and readers against the contract of the array schema."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from jetformer_data import distributions, inspection, schema, splitting, statistics, streaming
from jetformer_data.errors import DataError
from jetformer_data.streaming import weighting
from jetformer_data.testing import ReaderContract, WriterContract, example_jets


class TestSchemaWrites(WriterContract):
    def write_jets(self, path: Path) -> None:
        schema.write(path, example_jets(13, seed=1))


class TestGeneratorWrites(WriterContract):
    @pytest.fixture(autouse=True)
    def _generated(self, simulated: Path) -> None:
        self.simulated = simulated

    def write_jets(self, path: Path) -> None:
        shutil.copy(self.simulated, path)


class TestLoadReads(ReaderContract):
    def use_jets(self, path: Path) -> np.ndarray:
        return splitting.load(path, "train", 7, min_pt=2.0).x


class TestStatisticsRead(ReaderContract):
    def use_jets(self, path: Path) -> np.ndarray:
        return statistics.training_normalisation(path, 7, min_pt=2.0).mean


class TestStreamReads(ReaderContract):
    def use_jets(self, path: Path) -> np.ndarray:
        options = streaming.StreamOptions(features=("pt", "phirel"), split="train", min_pt=2.0, seed=3)
        (batch,) = streaming.Stream(path, options)
        return batch.dense(7)[0]


class TestWeightsRead(ReaderContract):
    def use_jets(self, path: Path) -> np.ndarray:
        return weighting.weight_table(path, {"jet_eta": (-1, 0, 1)}).weights


class TestDistributionsRead(ReaderContract):
    expected_error = DataError  # any kind of file is read, so it need not be a schema's

    def use_jets(self, path: Path) -> np.ndarray:
        return distributions.distributions(path).images


class TestInspectReads(ReaderContract):
    expected_error = DataError  # any kind of file is read, so it need not be a schema's

    def use_jets(self, path: Path) -> list[float]:
        return [row["mean"] for row in inspection.inspect(path)["classes"].values()]
