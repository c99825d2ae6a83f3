from pathlib import Path

import pytest

from jetformer_data.schema import write
from jetformer_data.testing import example_jets


@pytest.fixture(scope="session")
def jets_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "jets.h5"
    write(path, example_jets(jets=1500, seed=3))
    return path
