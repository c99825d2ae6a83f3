"""Files of scores, read back by the libraries that they are for."""

import json
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import uproot
from pyarrow import parquet

from jetformer_model.errors import ModelError
from jetformer_model.score_files import WRITERS, columns_of, require_writer, score_file
from jetformer_model.scoring import Scores

ABOUT = {"model": "tiny.safetensors", "files": ["a.h5", "b.h5"]}
each_format = pytest.mark.parametrize("suffix", tuple(WRITERS))


def scores(jets: int, seed: int, labels: bool = True) -> Scores:
    rng = np.random.default_rng(seed)
    return Scores(
        rng.random((jets, 3)).astype(np.float32),
        rng.integers(3, size=jets) if labels else None,
        rng.integers(2, size=jets).astype(np.int32),
        rng.integers(1 << 40, size=jets),
    )


def read(path: Path) -> tuple[dict[str, np.ndarray], str]:
    """Columns, and what the file says of itself."""
    if path.suffix == ".root":
        with uproot.open(path) as file:
            return file["scores"].arrays(library="np"), str(file["about"])
    if path.suffix == ".h5":
        with h5py.File(path) as file:
            return {name: column[:] for name, column in file["scores"].items()}, file.attrs["about"]
    table = parquet.read_table(path)
    return {name: table[name].to_numpy() for name in table.column_names}, table.schema.metadata[
        b"about"
    ].decode()


@each_format
def test_what_is_appended_is_read_back(suffix: str, tmp_path: Path) -> None:
    parts = [scores(jets, jets) for jets in (7, 1, 13)]
    with score_file(tmp_path / f"scores{suffix}", ABOUT) as append:
        for part in parts:
            append(columns_of(part, ("g", "q", "W -> qq")))
    columns, about = read(tmp_path / f"scores{suffix}")
    assert json.loads(about) == ABOUT
    expected = {
        "score_g": np.concatenate([part.probabilities[:, 0] for part in parts]),
        "score_q": np.concatenate([part.probabilities[:, 1] for part in parts]),
        "score_W____qq": np.concatenate([part.probabilities[:, 2] for part in parts]),
        "label": np.concatenate([part.labels for part in parts]),
        "file_index": np.concatenate([part.file_index for part in parts]),
        "jet_index": np.concatenate([part.jet_index for part in parts]),
    }
    assert columns.keys() == expected.keys()
    for name, values in expected.items():
        assert columns[name].dtype == values.dtype, name
        np.testing.assert_array_equal(columns[name], values)


@each_format
def test_labels_that_are_not_known_have_no_column(suffix: str, tmp_path: Path) -> None:
    with score_file(tmp_path / f"scores{suffix}", ABOUT) as append:
        append(columns_of(scores(5, 1, labels=False), ("g", "q", "t")))
    assert "label" not in read(tmp_path / f"scores{suffix}")[0]


@each_format
def test_nobody_sees_half_a_file(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"scores{suffix}"
    path.write_text("from before")

    def interrupted() -> None:
        with score_file(path, ABOUT) as append:
            append(columns_of(scores(5, 1), ("g", "q", "t")))
            assert path.read_text() == "from before"
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_text() == "from before"
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


@each_format
def test_an_unwritable_place_is_one_sentence(suffix: str, tmp_path: Path) -> None:
    (tmp_path / f"folder{suffix}").mkdir()
    with (
        pytest.raises(ModelError, match="cannot be written"),
        score_file(tmp_path / f"folder{suffix}", ABOUT) as append,
    ):
        append(columns_of(scores(5, 1), ("g", "q", "t")))


def test_classes_that_would_share_a_column_are_refused() -> None:
    with pytest.raises(ModelError, match="same column"):
        columns_of(scores(5, 1), ("b+", "b-", "c"))


def test_writers_are_asked_for_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ModelError, match=r"ends in .root, .h5, .parquet"):
        require_writer(tmp_path / "scores.csv")
    with pytest.raises(ModelError, match="there is no folder"):
        require_writer(tmp_path / "absent" / "scores.h5")
    monkeypatch.setitem(sys.modules, "uproot", None)
    with pytest.raises(ModelError, match=r"pip install 'jetformer-model\[root\]'"):
        require_writer(tmp_path / "scores.root")
