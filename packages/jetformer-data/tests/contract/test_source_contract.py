"""Every reader keeps the contract of sources; a new one is two lines here."""

from __future__ import annotations

from pathlib import Path

from jetformer_data.testing import ListContract, OffsetContract, SourceContract
from jetformer_data.testing.source_examples import WRITERS, example


class TestSchema(OffsetContract):
    kind = "schema"

    def test_a_missing_column_is_named(self, tmp_path: Path) -> None:
        # no feature of the array schema is required: what is there is read
        raw = self._read(tmp_path, example().without("energy"))
        assert set(raw.constituents) == {"px", "py", "pz"}


class TestHls4ml(SourceContract):
    kind = "hls4ml"


class TestJetClass(ListContract):
    kind = "jetclass"


class TestJetClass2(ListContract):
    kind = "jetclass2"


class TestNpzRows(OffsetContract):
    kind = "npz_rows"


class TestNpzPadded(SourceContract):
    kind = "npz_padded"


class TestHdf5Rows(OffsetContract):
    kind = "hdf5_rows"


class TestHdf5Padded(SourceContract):
    kind = "hdf5_padded"


class TestPandasTable(SourceContract):
    kind = "pandas_table"


class TestPandasFixed(SourceContract):
    kind = "pandas_fixed"


class TestParquetLists(ListContract):
    kind = "parquet_lists"


class TestParquetNumbered(SourceContract):
    kind = "parquet_numbered"


def test_no_layout_is_forgotten() -> None:
    tested = {case.kind for name, case in globals().items() if name.startswith("Test")}
    assert tested == set(WRITERS)
