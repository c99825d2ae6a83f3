"""Rows read as plain bytes equal those that HDF5 reads."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from jetformer_data.errors import SchemaError
from jetformer_data.places import RowReader, Rows

VALUES = np.random.default_rng(1).random((101, 3)).astype(np.float32)
LAYOUTS = {
    "chunks": {"chunks": (7, 3), "maxshape": (None, 3)},
    "contiguous": {},
    "compressed": {"chunks": (7, 3), "compression": "gzip"},
    "narrow": {"chunks": (7, 2)},
}


def made(path: Path, layout: str, userblock: int = 0) -> Rows:
    with h5py.File(path, "w", userblock_size=userblock) as file:
        file.create_dataset("first", data=np.arange(5))
        dataset = file.create_dataset("rows", data=VALUES, **LAYOUTS[layout])
        if layout == "chunks":
            dataset.resize(90, axis=0)  # chunks are given up and come again at another place
            dataset.resize(101, axis=0)
            dataset[90:] = VALUES[90:]
        rows = Rows.of(dataset)
    return rows


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("userblock", (0, 512))
def test_any_piece(tmp_path: Path, layout: str, userblock: int) -> None:
    rows = made(tmp_path / "file.h5", layout, userblock)
    assert (rows.places is None) == (userblock > 0 or layout in ("compressed", "narrow"))
    with RowReader(tmp_path / "file.h5") as reader:
        for start in range(0, 101, 5):
            for stop in (start, start + 1, min(101, start + 19), 101):
                np.testing.assert_array_equal(reader.read(rows, start, stop), VALUES[start:stop])
        out = np.zeros((11, 3), np.float32)
        assert reader.read(rows, 20, 31, out) is out
        np.testing.assert_array_equal(out, VALUES[20:31])


def test_rows_that_were_never_written_are_left_to_hdf5(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "file.h5", "w") as file:
        dataset = file.create_dataset("rows", (23, 3), "f4", chunks=(5, 3), fillvalue=4)
        dataset[7:9] = 1
        rows = Rows.of(dataset)
    with RowReader(tmp_path / "file.h5") as reader:
        found = reader.read(rows, 0, 23)
    assert found[6:10, 0].tolist() == [4, 1, 1, 4]


def test_failures_name_the_file(tmp_path: Path) -> None:
    rows = made(tmp_path / "plain.h5", "chunks")
    (tmp_path / "plain.h5").write_bytes(b"")
    with (
        pytest.raises(SchemaError, match=r"plain\.h5: ends before its data"),
        RowReader(tmp_path / "plain.h5") as reader,
    ):
        reader.read(rows, 0, 3)
    rows = made(tmp_path / "packed.h5", "compressed")
    (tmp_path / "packed.h5").write_bytes(b"")
    with (
        pytest.raises(SchemaError, match=r"packed\.h5: 'rows' is dam"),
        RowReader(tmp_path / "packed.h5") as reader,
    ):
        reader.read(rows, 0, 3)
    with pytest.raises(SchemaError, match=r"absent\.h5: cannot be read \(No such file"):
        RowReader(tmp_path / "absent.h5").__enter__()
