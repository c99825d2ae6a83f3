"""Looking at a file takes memory for a piece of it, not for all of it."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from jetformer_data import schema, verdicts
from jetformer_data.distributions import compare
from jetformer_data.inspection import inspect
from jetformer_data.looking import contents
from jetformer_data.testing import example_jets

PIECE = 200


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A file of 10 pieces and one of 40."""
    folder = tmp_path_factory.mktemp("pieces")
    for name, pieces in (("small.h5", 10), ("large.h5", 40)):
        with schema.Writer(folder / name) as writer:
            for seed in range(pieces):
                writer.append(example_jets(PIECE, seed=seed))
    return folder / "small.h5", folder / "large.h5"


@pytest.mark.parametrize(
    "look",
    (inspect, verdicts.validate, lambda path: compare([path])),
    ids=("inspect", "validate", "plot"),
)
def test_memory_does_not_grow_with_the_file(
    files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, look: Callable[[Path], object]
) -> None:
    chunks = contents.Contents.chunks
    monkeypatch.setattr(contents.Contents, "chunks", lambda self, stop=None: chunks(self, PIECE, stop))
    monkeypatch.setattr(verdicts, "CHUNK_JETS", PIECE)
    monkeypatch.setattr("jetformer_data.looking.duplicates._IN_MEMORY", 24)
    monkeypatch.setattr("jetformer_data.distributions._SAMPLE_JETS", PIECE)
    look(files[0])  # what is imported and cached once
    peaks = []
    for path in files:
        tracemalloc.start()
        look(path)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    # four times the jets: 8,000 of them take 4.4 MB in memory at once
    assert peaks[1] < peaks[0] + 0.5e6
