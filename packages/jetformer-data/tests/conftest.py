"""Settings of the property tests, and the small set of simulated jets that several tests look at."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

# Time limits fail on a busy machine.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of 250 simulated jets in shards of 125."""
    for module in ("pythia8mc", "fastjet"):
        pytest.importorskip(module, reason="needs the extra 'generate'")
    from jetformer_data.generation import generate
    from jetformer_data.workers import Processes

    path = tmp_path_factory.mktemp("simulated") / "jets.h5"
    generate(path, jets=250, seed=11, backend=Processes(2), shard_jets=125)
    return path
