"""jetformer-model as a reader of the array schema."""

from pathlib import Path
from typing import Any

from jetformer_data.testing import ReaderContract
from jetformer_model.dataset import tagging_data


class TestReader(ReaderContract):
    def use_jets(self, path: Path) -> Any:
        return tagging_data(path, constituents=7).train.x.numpy()
