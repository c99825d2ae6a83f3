"""This package's own writers and readers against the contract of the array schema."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from jetformer_data import distributions, inspection, schema, splitting, statistics
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


class TestDistributionsRead(ReaderContract):
    def use_jets(self, path: Path) -> np.ndarray:
        return distributions.distributions(path).images


class TestInspectReads(ReaderContract):
    def use_jets(self, path: Path) -> list[float]:
        return [row["mean"] for row in inspection.inspect(path)["classes"].values()]
