"""The ways in which people store constituents of jets, each as columns of a range of jets.

rows        `offsets` and one row a constituent: `p4` [constituents, 4], or a column each, or `etarel_phirel` [., 2]
padded      one row a jet: `p4` [jets, P, 4], a column each [jets, P], or `X` [jets, P, 4] = pt, rapidity, phi, id
numbered    a column a number: E_0, PX_0, PY_0, PZ_0, E_1, ... as in the top-tagging reference
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jetformer_data.errors import SourceError
from jetformer_data.sources.arrays import Arrays
from jetformer_data.sources.identity import from_pt_rapidity_phi
from jetformer_data.sources.names import (
    FOUR_VECTORS,
    OFFSETS,
    PT_Y_PHI_ID,
    canonical,
    canonical_columns,
    first_of,
)
from jetformer_data.sources.ragged import without_padding

Columns = dict[str, NDArray[Any]]

# Orders of four-vectors in one array, the preferred one first.
ORDERS = (("px", "py", "pz", "energy"), ("energy", "px", "py", "pz"))
# Enough to know what jets are made of.
_ENOUGH = ({"px", "py", "pz", "energy"}, {"pt", "eta", "phi"}, {"etarel", "phirel"})
_NUMBERED = re.compile(r"(.+)_(\d+)")
_LOOKED_AT = 10_000
_ROUNDING = 1e-3


class Layout(ABC):
    """Constituents of a file of arrays; `names` maps our columns to the file's, `jets` is their number."""

    names: dict[str, str]
    jets: int

    @abstractmethod
    def read(self, start: int, stop: int) -> tuple[Columns, NDArray[np.int64]]:
        """Columns and offsets of jets `start:stop`."""


def holds_vectors(names: Iterable[str]) -> bool:
    """Whether constituents may be found among these names, or were meant to be: what lacks is then named."""
    present = set(names)
    known = set(canonical_columns(present)) | {ours for _, columns in _joined(present) for ours in columns}
    known |= set(_numbered(present))
    is_meant = any(len(enough & known) > 1 for enough in _ENOUGH)
    return is_meant or PT_Y_PHI_ID in present or first_of(FOUR_VECTORS, present) is not None


def find_layout(arrays: Arrays) -> Layout:
    """The layout of a file; raises `SourceError` where it has none."""
    offsets = first_of(OFFSETS, arrays.shapes)
    if offsets is not None:
        return Rows(arrays, offsets)
    if any(enough <= set(_numbered(arrays.shapes)) for enough in _ENOUGH):
        return Numbered(arrays)
    return Padded(arrays)


class Rows(Layout):
    """One row a constituent."""

    def __init__(self, arrays: Arrays, offsets: str) -> None:
        self._arrays = arrays
        self._offsets = _checked_offsets(arrays, offsets)
        self.jets, rows = len(self._offsets) - 1, int(self._offsets[-1])
        # Column -> array, and its place in it, None where the array is the column.
        self._places: dict[str, tuple[str, int | None]] = {}
        for name, shape in arrays.shapes.items():
            for ours, place in _columns_of(arrays, name, shape, axes=1):
                if shape[0] != rows:
                    raise SourceError(
                        f"{arrays.path}: '{name}' has {shape[0]} rows, but '{offsets}' ends at {rows}"
                    )
                self._places.setdefault(ours, (name, place))
        self.names = {ours: name for ours, (name, _) in self._places.items()}
        _require_enough(self.names, arrays)

    def read(self, start: int, stop: int) -> tuple[Columns, NDArray[np.int64]]:
        first, last = int(self._offsets[start]), int(self._offsets[stop])
        tables = {name: self._arrays.rows(name, first, last) for name in dict.fromkeys(self.names.values())}
        columns = {
            ours: np.ascontiguousarray(tables[name] if place is None else tables[name][:, place])
            for ours, (name, place) in self._places.items()
        }
        return columns, self._offsets[start : stop + 1] - first


class Padded(Layout):
    """One row a jet, zeros after its last constituent."""

    def __init__(self, arrays: Arrays) -> None:
        self._arrays = arrays
        self._places: dict[str, tuple[str, int | None]] = {}
        self.has_identity = len(arrays.shapes.get(PT_Y_PHI_ID, ())) == 3
        for name, shape in arrays.shapes.items():
            for ours, place in _columns_of(arrays, name, shape, axes=2):
                self._places.setdefault(ours, (name, place))
        if self.has_identity:
            if arrays.shapes[PT_Y_PHI_ID][2] != 4:
                raise SourceError(
                    f"{arrays.path}: '{PT_Y_PHI_ID}' is {list(arrays.shapes[PT_Y_PHI_ID])}, expected [jets, P, 4]"
                )
            self._places = {
                ours: (PT_Y_PHI_ID, k) for k, ours in enumerate(("pt", "rapidity", "phi", "pdg_id"))
            }
        self.names = {ours: name for ours, (name, _) in self._places.items()}
        if not self.has_identity:
            _require_enough(self.names, arrays)
        shapes = {arrays.shapes[name][:2] for name in self.names.values()}
        if len(shapes) > 1:
            raise SourceError(
                f"{arrays.path}: columns of constituents differ in shape: {sorted(map(list, shapes))}"
            )
        self.jets = shapes.pop()[0]

    def read(self, start: int, stop: int) -> tuple[Columns, NDArray[np.int64]]:
        tables = {name: self._arrays.rows(name, start, stop) for name in dict.fromkeys(self.names.values())}
        padded = {
            ours: tables[name] if place is None else tables[name][:, :, place]
            for ours, (name, place) in self._places.items()
        }
        columns, offsets = _without_padding(padded)
        if self.has_identity:
            columns = from_pt_rapidity_phi(columns, offsets, self._arrays.path, start)
        return columns, offsets


class Numbered(Layout):
    """A column a number; those that have numbers up to P - 1."""

    def __init__(self, arrays: Arrays) -> None:
        self._arrays = arrays
        self._columns = _numbered(arrays.shapes)
        lengths = {len(columns) for columns in self._columns.values()}
        if len(lengths) > 1:
            few = min(self._columns, key=lambda ours: len(self._columns[ours]))
            raise SourceError(
                f"{arrays.path}: '{few}' has {min(lengths)} numbered columns, others have {max(lengths)}"
            )
        self.names = {ours: columns[0].replace("_0", "_<n>") for ours, columns in self._columns.items()}
        self.jets = arrays.shapes[next(iter(self._columns.values()))[0]][0]

    def read(self, start: int, stop: int) -> tuple[Columns, NDArray[np.int64]]:
        every = [name for columns in self._columns.values() for name in columns]
        table = self._arrays.table(every, start, stop)
        parts = np.split(table, len(self._columns), axis=1)
        return _without_padding(dict(zip(self._columns, parts, strict=True)))


def _without_padding(padded: Columns) -> tuple[Columns, NDArray[np.int64]]:
    """A constituent is real where any of its columns is not zero; NaN counts, so that it is found and refused."""
    is_real = np.zeros(next(iter(padded.values())).shape, np.bool_)
    for values in padded.values():
        is_real |= values != 0
    offsets, rows = without_padding(is_real)
    return {name: values.reshape(-1)[rows] for name, values in padded.items()}, offsets


def _columns_of(arrays: Arrays, name: str, shape: tuple[int, ...], axes: int) -> list[tuple[str, int | None]]:
    """Our columns in one array, with their places on its last axis; `axes` before that one."""
    short = name.rsplit("/", 1)[-1]
    if len(shape) == axes:
        ours = canonical(short)
        return [] if ours is None else [(ours, None)]
    if len(shape) != axes + 1:
        return []
    if short in FOUR_VECTORS:
        if shape[-1] != 4:
            raise SourceError(f"{arrays.path}: '{name}' is {list(shape)}, expected 4 on the last axis")
        return list(zip(_order(arrays, name), range(4), strict=True))
    joined = dict(_joined([short])).get(short, ())
    return list(zip(joined, range(shape[-1]), strict=True)) if len(joined) == shape[-1] else []


def _order(arrays: Arrays, name: str) -> tuple[str, ...]:
    """The order in which the fewest energies are below their momentum, looking at the first rows."""
    few = arrays.rows(name, 0, min(arrays.shapes[name][0], _LOOKED_AT)).reshape(-1, 4)
    # not a number, or too large to square: whatever the order, that is reported later by its place
    few = few.astype(np.float64)[(np.abs(few) < 1e9).all(axis=1)]

    def agreeing(order: tuple[str, ...]) -> int:
        place = order.index("energy")
        momentum = np.sqrt((np.delete(few, place, axis=1) ** 2).sum(axis=1))
        return int((few[:, place] >= momentum * (1 - _ROUNDING) - _ROUNDING).sum())

    return max(ORDERS, key=agreeing)


def _numbered(names: Iterable[str]) -> dict[str, list[str]]:
    """Ours -> E_0, E_1, ..."""
    found: dict[str, dict[int, str]] = {}
    for name in names:
        matched = _NUMBERED.fullmatch(name)
        ours = canonical(matched[1]) if matched else None
        if matched and ours is not None:
            found.setdefault(ours, {})[int(matched[2])] = name
    # without a gap
    return {
        ours: [columns[k] for k in range(len(columns))]
        for ours, columns in found.items()
        if set(columns) == set(range(len(columns)))
    }


def _joined(names: Iterable[str]) -> list[tuple[str, tuple[str, ...]]]:
    """Names such as `etarel_phirel` that say which columns the array has."""
    found = []
    for name in names:
        parts: Sequence[str | None] = [canonical(part) for part in name.split("_")]
        if len(parts) > 1 and all(parts) and len(set(parts)) == len(parts):
            found.append((name, tuple(part for part in parts if part is not None)))
    return found


def _checked_offsets(arrays: Arrays, name: str) -> NDArray[np.int64]:
    if len(arrays.shapes[name]) != 1 or not arrays.shapes[name][0]:
        raise SourceError(
            f"{arrays.path}: '{name}' is {list(arrays.shapes[name])}, expected one number more than jets"
        )
    stored = arrays.whole(name)
    if stored.dtype.kind not in "iu":
        raise SourceError(f"{arrays.path}: '{name}' holds {stored.dtype}, expected whole numbers")
    offsets = stored.astype(np.int64)
    falls = np.flatnonzero(np.diff(offsets) < 0)
    if offsets[0] != 0 or len(falls):
        jet = int(falls[0]) if len(falls) else 0
        raise SourceError(f"{arrays.path}: jet {jet}: '{name}' falls or does not start at 0")
    return offsets


def _require_enough(names: dict[str, str], arrays: Arrays) -> None:
    if not any(enough <= names.keys() for enough in _ENOUGH):
        raise SourceError(
            f"{arrays.path}: no four-vectors of constituents: expected px, py, pz and energy, or pt, eta and phi, or "
            f"'p4', among {', '.join(sorted(arrays.shapes)[:20]) or 'nothing'}"
        )
