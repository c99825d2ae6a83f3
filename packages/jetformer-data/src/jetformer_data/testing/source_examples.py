"""For tests: small files of jets in every layout that is read, written without any check, so that they can be wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from jetformer_data import schema
from jetformer_data.extras import require
from jetformer_data.jets import Jets, offsets_of
from jetformer_data.layouts.hls4ml import JET_NAMES
from jetformer_data.raw import RawJets
from jetformer_data.sources import hls4ml, jetclass, jetclass2
from jetformer_data.sources.vector_layouts import Columns

FOUR = ("px", "py", "pz", "energy")
_PADDED = 150


@dataclass(frozen=True, eq=False)
class Example:
    """Jets as a file should hold them, right or wrong.

    columns     constituents, under our names; float32 four-vectors at least
    offsets     int64 `[jets + 1]`; `other_offsets` are those of columns whose lists are cut in another way
    labels      `[jets]` numbers of classes; a layout with one-hot labels takes `one_hot` `[jets, classes]` if it is given
    """

    columns: Columns
    offsets: NDArray[Any]
    labels: NDArray[Any]
    one_hot: NDArray[Any] | None = None
    jets: Columns = field(default_factory=dict)
    other_offsets: dict[str, NDArray[Any]] = field(default_factory=dict)

    def offsets_of(self, name: str) -> NDArray[Any]:
        return self.other_offsets.get(name, self.offsets)

    def with_column(self, name: str, values: NDArray[Any]) -> Example:
        return replace(self, columns={**self.columns, name: values})

    def without(self, name: str) -> Example:
        return replace(self, columns={ours: values for ours, values in self.columns.items() if ours != name})

    def hot(self, classes: int) -> NDArray[Any]:
        """One-hot labels `[jets, classes]`."""
        return np.eye(classes)[self.labels] if self.one_hot is None else self.one_hot


def example(jets: int = 30, seed: int = 1, most: int = 12, empty: int = 2) -> Example:
    """Made-up jets of up to `most` constituents, float32, in five classes; the first `empty` have none. Not physics."""
    rng = np.random.default_rng(seed)
    counts = rng.integers(1, most, size=jets)
    counts[:empty] = 0
    offsets = offsets_of(counts)
    jet = np.repeat(np.arange(jets), counts)
    pt = rng.exponential(20, len(jet)) + 0.5
    pt = pt[np.lexsort((-pt, jet))]
    jet_eta, jet_phi = rng.uniform(-2, 2, jets), rng.uniform(-3, 3, jets)
    etarel, phirel = rng.normal(0, 0.1, (2, len(jet)))
    eta, phi = jet_eta[jet] + etarel, jet_phi[jet] + phirel
    momentum = np.stack([pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta)])
    energy = np.sqrt((momentum**2).sum(axis=0) + 0.14**2)
    kind = rng.integers(5, size=len(jet))
    columns: Columns = dict(zip(FOUR, [*momentum, energy], strict=True))
    columns |= {"etarel": etarel, "phirel": phirel, "charge": np.where(kind < 3, 1.0, 0.0)}
    for name in ("d0", "d0_error", "dz", "dz_error"):
        columns[name] = np.where(kind < 3, rng.uniform(0, 1, len(jet)), 0)
    columns = {name: values.astype(np.float32) for name, values in columns.items()}
    names = ("is_charged_hadron", "is_electron", "is_muon", "is_neutral_hadron", "is_photon")
    columns |= {name: (kind == k).astype(np.int32) for k, name in enumerate(names)}
    of_jets = {"jet_pt": rng.uniform(500, 1000, jets), "jet_eta": jet_eta, "jet_phi": jet_phi}
    of_jets |= {"jet_energy": rng.uniform(1000, 2000, jets), "jet_sdmass": rng.uniform(0, 200, jets)}
    of_jets = {name: values.astype(np.float32) for name, values in of_jets.items()}
    return Example(columns, offsets, rng.integers(5, size=jets), jets=of_jets)


def write_schema(path: Path, jets: Example) -> None:
    """The array schema: features px, py, pz, energy."""
    names = [name for name in FOUR if name in jets.columns]
    rows = np.stack([jets.columns[name] for name in names], axis=1)
    valid = Jets(
        np.zeros((0, len(names)), np.float32),
        np.zeros(1, np.int64),
        np.zeros(0, np.int64),
        tuple(names),
        ("GeV",) * len(names),
        ("g", "q", "W", "Z", "t"),
        provenance={"program": "test"},
    )
    schema.write(path, valid)
    with h5py.File(path, "r+") as file:
        for name, values in {"constituents": rows, "offsets": jets.offsets, "labels": jets.labels}.items():
            del file[name]
            file.create_dataset(name, data=values, compression="gzip" if len(values) else None)


def write_hls4ml(path: Path, jets: Example) -> None:
    """The HLS4ML layout; what is not given of the 16 columns is 1."""
    absent = {name for name in FOUR if name not in jets.columns}
    pt = np.ones(int(jets.offsets[-1])) if absent else np.hypot(jets.columns["px"], jets.columns["py"])
    columns = {"pt": pt, **jets.columns}
    names = [name for name in hls4ml.PARTICLE_NAMES[:-1] if hls4ml.column_name(name) not in absent]
    rows = [columns.get(hls4ml.column_name(name), np.ones(int(jets.offsets[-1]))) for name in names]
    counts = np.diff(jets.offsets)
    most = max(_PADDED, int(counts.max(initial=0)))
    padded = np.zeros((len(counts), most, len(names)))
    is_real = np.arange(most) < counts[:, None]
    is_text = any(row.dtype.kind == "S" for row in rows)
    for k, row in enumerate([] if is_text else rows):
        padded[..., k][is_real] = row
    of_jets = np.zeros((len(counts), len(JET_NAMES)))
    of_jets[:, -6:-1] = jets.hot(5)
    for ours, name in hls4ml.JET_COLUMNS.items():
        if ours in jets.jets:
            of_jets[:, JET_NAMES.index(name)] = jets.jets[ours]
    with h5py.File(path, "w") as file:
        file.create_dataset(
            hls4ml.CONSTITUENTS, data=padded.astype("S3") if is_text else padded, compression="gzip"
        )
        file["jets"] = of_jets
        file["particleFeatureNames"] = np.array([*names, "j1_pdgid"], dtype=np.bytes_)
        file["jetFeatureNames"] = np.array(JET_NAMES, dtype=np.bytes_)


def write_jetclass(path: Path, jets: Example) -> None:
    """The JetClass layout, lists as arrays with counters; in place of a list of texts there is one number a jet."""
    uproot = require("uproot", "root")
    branches: dict[str, Any] = {}
    for ours, name in {**jetclass.REQUIRED, **jetclass.OPTIONAL}.items():
        if ours in jets.columns:
            values, offsets = _signed(jets)[ours], jets.offsets_of(ours)
            is_text = values.dtype.kind == "S"
            branches[name] = np.zeros(len(offsets) - 1) if is_text else _lists(values, offsets)
    for name, values in zip(jetclass.LABELS, jets.hot(len(jetclass.LABELS)).T, strict=True):
        branches[name] = values.astype(np.float32)
    branches |= jets.jets
    with uproot.recreate(path) as file:
        types = {name: getattr(v, "dtype", None) or v.type.content for name, v in branches.items()}
        file.mktree(jetclass.TREE, types)
        file[jetclass.TREE].extend(branches)


def write_jetclass2(path: Path, jets: Example) -> None:
    """The JetClass-II layout."""
    names = {**jetclass.REQUIRED, **jetclass.OPTIONAL}
    columns = {
        names[ours]: _arrow_lists(values, jets.offsets_of(ours)) for ours, values in _signed(jets).items()
    }
    _write_parquet(path, {**columns, **jets.jets, jetclass2.LABEL: jets.labels})


def write_parquet_lists(path: Path, jets: Example) -> None:
    """Parquet with lists px, py, pz, energy and `labels`."""
    columns = {
        ours: _arrow_lists(jets.columns[ours], jets.offsets_of(ours)) for ours in FOUR if ours in jets.columns
    }
    _write_parquet(path, {**columns, "labels": jets.labels})


def write_parquet_numbered(path: Path, jets: Example) -> None:
    """Parquet with columns E_0, PX_0, ... and `is_signal_new`."""
    _write_parquet(path, {**_numbered(jets), "is_signal_new": _binary(jets.labels)})


def write_npz_rows(path: Path, jets: Example) -> None:
    """npz with p4 [constituents, 4], offsets, labels, classes; columns of their own where one is missing or odd."""
    arrays = {ours: jets.columns[ours] for ours in FOUR if ours in jets.columns}
    if len(arrays) == 4 and all(values.dtype.kind == "f" for values in arrays.values()):
        arrays = {"p4": np.stack(list(arrays.values()), axis=1)}
    _write_npz(
        path, {**arrays, "offsets": jets.offsets, "labels": jets.labels, "classes": np.array(list("gqWZt"))}
    )


def write_npz_padded(path: Path, jets: Example) -> None:
    """npz with px, py, pz, energy [jets, P] and one-hot labels."""
    arrays = {name: _padded(values, jets.offsets) for name, values in _four(jets).items()}
    _write_npz(path, {**arrays, "labels": jets.hot(5)})


def write_hdf5_rows(path: Path, jets: Example) -> None:
    """HDF5 with a column each and offsets."""
    with h5py.File(path, "w") as file:
        for name, values in {**_four(jets), "offsets": jets.offsets, "labels": jets.labels}.items():
            file.create_dataset(name, data=values, compression="gzip")
        file.attrs["class_names"] = list("gqWZt")


def write_hdf5_padded(path: Path, jets: Example) -> None:
    """HDF5 with p4 [jets, P, 4] as E, px, py, pz, or columns of their own where one is missing or odd."""
    arrays = {name: _padded(values, jets.offsets) for name, values in _four(jets).items()}
    if len(arrays) == 4 and all(values.dtype.kind == "f" for values in arrays.values()):
        arrays = {"p4": np.stack([arrays[name] for name in ("energy", "px", "py", "pz")], axis=2)}
    with h5py.File(path, "w") as file:
        for name, values in {**arrays, "labels": jets.labels}.items():
            file.create_dataset(name, data=values, compression="gzip")


def write_pandas_table(path: Path, jets: Example) -> None:
    """What pandas writes with `format="table"`, as in the top-tagging reference."""
    numbered, signal = _numbered(jets), _binary(jets.labels)
    values = np.stack(list(numbered.values()), axis=1)
    kind = [
        ("index", np.int64),
        ("values_block_0", values.dtype, values.shape[1:]),
        ("values_block_1", np.int64, (1,)),
    ]
    table = np.zeros(len(signal), kind)
    table["index"], table["values_block_0"] = np.arange(len(signal)), values
    table["values_block_1"] = signal[:, None]
    with h5py.File(path, "w") as file:
        group = file.create_group("table")
        group.attrs["pandas_type"] = np.bytes_("frame_table")
        dataset = group.create_dataset("table", data=table, compression="gzip")
        for block, names in (("values_block_0", list(numbered)), ("values_block_1", ["is_signal_new"])):
            dataset.attrs[f"{block}_kind"] = np.bytes_(_list_in_protocol_0(names))


def write_pandas_fixed(path: Path, jets: Example) -> None:
    """What pandas writes with `format="fixed"`."""
    numbered = _numbered(jets)
    blocks = [(list(numbered), np.stack(list(numbered.values()), axis=1))]
    blocks.append((["is_signal_new"], _binary(jets.labels)[:, None]))
    with h5py.File(path, "w") as file:
        group = file.create_group("df")
        for k, (names, values) in enumerate(blocks):
            group[f"block{k}_items"] = np.array(names, dtype=np.bytes_)
            group.create_dataset(f"block{k}_values", data=values, compression="gzip")


Write = Callable[[Path, Example], None]
WRITERS: dict[str, tuple[str, str, Write]] = {
    # kind of file: format, ending, writer
    "schema": ("schema", ".h5", write_schema),
    "hls4ml": ("hls4ml", ".h5", write_hls4ml),
    "jetclass": ("jetclass", ".root", write_jetclass),
    "jetclass2": ("jetclass2", ".parquet", write_jetclass2),
    "npz_rows": ("four-vectors", ".npz", write_npz_rows),
    "npz_padded": ("four-vectors", ".npz", write_npz_padded),
    "hdf5_rows": ("four-vectors", ".h5", write_hdf5_rows),
    "hdf5_padded": ("four-vectors", ".h5", write_hdf5_padded),
    "pandas_table": ("four-vectors", ".h5", write_pandas_table),
    "pandas_fixed": ("four-vectors", ".h5", write_pandas_fixed),
    "parquet_lists": ("four-vectors", ".parquet", write_parquet_lists),
    "parquet_numbered": ("four-vectors", ".parquet", write_parquet_numbered),
}
TWO_CLASSES = ("pandas_table", "pandas_fixed", "parquet_numbered")
# Labels in several columns, of which one must be 1.
ONE_HOT = {"hls4ml": 5, "jetclass": 10, "npz_padded": 5}
# Layouts in which the lists of a jet may differ in length.
WITH_LISTS = ("jetclass", "jetclass2", "parquet_lists")


def equals(raw: RawJets, jets: Example, kind: str) -> bool:
    """Whether what was read is the example, four-vectors and labels, bit for bit."""
    labels = _binary(jets.labels) if kind in TWO_CLASSES else jets.labels
    return (
        np.array_equal(raw.offsets, jets.offsets)
        and np.array_equal(raw.labels, labels)
        and _four(jets).keys() <= raw.constituents.keys()
        and all(np.array_equal(raw.constituents[name], values) for name, values in _four(jets).items())
    )


def _four(jets: Example) -> Columns:
    return {name: jets.columns[name] for name in FOUR if name in jets.columns}


def _binary(labels: NDArray[Any]) -> NDArray[Any]:
    """Two classes of five, and wrong labels as they are."""
    return np.where((labels >= 0) & (labels < 5), labels > 2, labels).astype(labels.dtype)


def _signed(jets: Example) -> Columns:
    """Constituents with eta relative to the jet as JetClass counts it."""
    if "etarel" not in jets.columns:
        return jets.columns
    sign = np.where(jets.jets["jet_eta"] < 0, -1, 1).astype(np.float32)
    return {**jets.columns, "etarel": jets.columns["etarel"] * np.repeat(sign, np.diff(jets.offsets))}


def _padded(values: NDArray[Any], offsets: NDArray[Any]) -> NDArray[Any]:
    counts = np.diff(offsets)
    padded = np.zeros((len(counts), int(counts.max(initial=1))), values.dtype)
    padded[np.arange(padded.shape[1]) < counts[:, None]] = values
    return padded


def _numbered(jets: Example) -> Columns:
    short = {"energy": "E", "px": "PX", "py": "PY", "pz": "PZ"}
    padded = {short[name]: _padded(values, jets.offsets) for name, values in _four(jets).items()}
    most = next(iter(padded.values())).shape[1]
    return {f"{name}_{k}": np.ascontiguousarray(padded[name][:, k]) for k in range(most) for name in padded}


def _lists(values: NDArray[Any], offsets: NDArray[Any]) -> Any:
    ak = require("awkward", "root")
    flat = ak.contents.NumpyArray(values)
    return ak.Array(ak.contents.ListOffsetArray(ak.index.Index64(offsets.astype(np.int64)), flat))


def _arrow_lists(values: NDArray[Any], offsets: NDArray[Any]) -> Any:
    pyarrow = require("pyarrow", "parquet")
    texts = values.dtype.kind == "S"
    flat = pyarrow.array([v.decode() for v in values] if texts else values)
    return pyarrow.ListArray.from_arrays(pyarrow.array(offsets, pyarrow.int32()), flat)


def _write_parquet(path: Path, columns: dict[str, Any]) -> None:
    pyarrow, parquet = require("pyarrow", "parquet"), require("pyarrow.parquet", "parquet")
    texts = {
        name: values
        for name, values in columns.items()
        if getattr(values, "dtype", np.dtype("f4")).kind == "S"
    }
    columns |= {name: [v.decode() for v in values] for name, values in texts.items()}
    parquet.write_table(pyarrow.table(columns), path, row_group_size=11, write_page_checksum=True)


def _write_npz(path: Path, arrays: dict[str, NDArray[Any]]) -> None:
    with path.open("wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type, unused-ignore]


def _list_in_protocol_0(names: list[str]) -> bytes:
    """A list of texts as Python's first serialisation wrote it, put together by hand."""
    content = "(lp0\n" + "".join(f"V{name}\np{k + 1}\na" for k, name in enumerate(names)) + "."
    assert json.dumps(names).isascii()
    return content.encode()
