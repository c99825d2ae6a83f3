"""Streams of jets into files of a layout; nothing appears under its name before it is complete."""

from __future__ import annotations

import os
import shutil
import uuid
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from jetformer_data.errors import DataError
from jetformer_data.raw import RawJets


@dataclass(frozen=True)
class Written:
    """What was written: files in order, number of jets, columns that are 0 for want of a source, what was left out."""

    paths: tuple[Path, ...]
    jets: int
    absent: tuple[str, ...] = ()
    dropped: dict[str, int] = field(default_factory=dict)


class LayoutWriter(ABC):
    """Writes one set of jets. `target` is a path of its own that is renamed afterwards."""

    def __init__(self, target: Path) -> None:
        self.target = target
        self.jets = 0
        self.absent: tuple[str, ...] = ()
        self.dropped: Counter[str] = Counter()

    @abstractmethod
    def append(self, raw: RawJets) -> None:
        """Write these jets after those before; raises `DataError` where the layout has no place for them."""

    @abstractmethod
    def close(self) -> None:
        """Finish what is open."""


def write_layout(
    raw_chunks: Iterable[RawJets], out: str | os.PathLike[str], layout: str, overwrite: bool = False
) -> Written:
    """Write jets in the layout "hls4ml" (a folder of HDF5 files) or "jetclass" (one ROOT file, extra `root`).

    Memory is that of one chunk. `out` appears complete or not at all; raises `DataError` where it exists already, where
    the layout has no such class, and where a column that it needs can be neither read nor derived.
    """
    if layout not in LAYOUTS:
        raise DataError(f"layout '{layout}': expected one of {', '.join(LAYOUTS)}")
    out = Path(out)
    if out.exists() and not overwrite:
        raise DataError(f"{out}: exists already; pass --overwrite or choose another output")
    out.parent.mkdir(parents=True, exist_ok=True)
    # Of the same ending: a ROOT file is told by it.
    partial = out.with_name(f".{uuid.uuid4().hex}.partial{out.suffix}")
    try:
        writer = LAYOUTS[layout](partial)
        try:
            for raw in raw_chunks:
                writer.append(raw)
        finally:
            writer.close()
        if not writer.jets:
            raise DataError(f"{out}: no jets were given to write")
        _replace(partial, out)
    finally:
        _remove(partial)
    paths = tuple(sorted(out.iterdir(), key=_number_in_name)) if out.is_dir() else (out,)
    return Written(paths, writer.jets, writer.absent, dict(writer.dropped))


def classes_in(raw: RawJets, known: dict[str, int], layout: str) -> list[int]:
    """For each class of these jets its number in the layout; raises `DataError` where it has none."""
    for name in raw.class_names:
        if name not in known:
            raise DataError(f"{raw.where}: class '{name}' is none of layout {layout}: {', '.join(known)}")
    return [known[name] for name in raw.class_names]


def _number_in_name(path: Path) -> tuple[int, str]:
    return len(path.name), path.name


def _replace(partial: Path, out: Path) -> None:
    if out.is_dir():
        # A folder cannot be renamed onto another that holds something.
        old = out.with_name(f".{uuid.uuid4().hex}.partial")
        os.replace(out, old)
        os.replace(partial, out)
        shutil.rmtree(old)
    else:
        os.replace(partial, out)


def _remove(partial: Path) -> None:
    if partial.is_dir():
        shutil.rmtree(partial)
    else:
        partial.unlink(missing_ok=True)


def _hls4ml(target: Path) -> LayoutWriter:
    from jetformer_data.layouts.hls4ml import Hls4mlWriter

    return Hls4mlWriter(target)


def _jetclass(target: Path) -> LayoutWriter:
    from jetformer_data.layouts.jetclass import JetClassWriter

    return JetClassWriter(target)


LAYOUTS: dict[str, Callable[[Path], LayoutWriter]] = {"hls4ml": _hls4ml, "jetclass": _jetclass}
