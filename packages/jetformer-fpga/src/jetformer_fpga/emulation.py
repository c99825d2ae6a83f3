"""The integer network over whole data files, fast: scores of the firmware itself, without simulating it.

The network is compiled as C++ (`kernel`) once and kept in a cache; where there is no compiler the numpy reference answers,
with the same integers and a hundred times slower. Jets stream through in chunks, on all cores.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import re
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from jetformer_data import schema
from jetformer_data.splitting import file_mask

from . import kernel, network, reference, state, tools, vectors
from .errors import FpgaError, ToolError
from .fixed_point import Codes

CHUNK = 8192
OPTIONS = ("-std=c++17", "-O3", "-march=native", "-fwrapv", "-fPIC", "-shared", "-w")
Progress = Callable[[int, int], None]


class Emulator:
    """`emulator(x, mask)`: codes of the logits `[jets, C]` from codes `[jets, P, F]` and mask `[jets, P]`, True = real."""

    def __init__(self, loaded: state.State) -> None:
        self.state = loaded
        self.engine, self._function = _compiled(kernel.source(network.build(loaded)))

    def __call__(self, x: Codes, mask: NDArray[np.bool_]) -> Codes:
        if self._function is None:
            return reference.logits(self.state, x, mask)
        real = np.ascontiguousarray(mask, dtype=np.uint8)
        inputs = np.ascontiguousarray(x, dtype=np.int64)
        logits = np.empty((len(x), self.state.outputs), dtype=np.int64)
        self._function(inputs.ctypes.data, real.ctypes.data, logits.ctypes.data, len(x))
        return logits


def _compiled(text: str) -> tuple[str, Any]:
    """The function, and what made it; from the cache where the same was compiled for the same machine before."""
    try:
        compiler = tools.compiler()
    except ToolError:
        return "numpy int64 reference (no C++ compiler was found)", None
    machine = compiler.run("-march=native", "-dM", "-E", "-x", "c++", os.devnull)
    digest = hashlib.sha256("\0".join([text, machine, compiler.source, *OPTIONS]).encode()).hexdigest()
    place = tools.cache_folder("emulator") / f"{digest}.so"
    if not place.is_file():
        _compile(compiler, text, place)
    library = ctypes.CDLL(str(place))
    pointer = ctypes.c_void_p
    library.emulate.argtypes = [pointer, pointer, pointer, ctypes.c_int64]
    library.emulate.restype = None
    return f"C++, {compiler.source}", library.emulate


def _compile(compiler: tools.Tool, text: str, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place.parent) as name:
        unit, built = Path(name) / "network.cpp", Path(name) / "network.so"
        unit.write_text(text)
        compiler.run(*OPTIONS, str(unit), "-o", str(built))
        os.replace(built, place)


@dataclass(frozen=True)
class Emulation:
    """What a pass over a file gave. `accuracy` is None where there were no jets."""

    jets: int
    accuracy: float | None
    seconds: float
    engine: str
    scores: str

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"jets_per_s": self.jets / self.seconds if self.seconds else None}


def emulate(
    state_path: str | Path,
    data: str | Path,
    out: str | Path | None = None,
    *,
    split: str = "all",
    workers: int | None = None,
    progress: Progress = lambda done, total: None,
) -> Emulation:
    """Scores of the firmware for the jets of a file (array schema), in their order.

    `out` is an HDF5 file as `jetformer-model predict` writes it: in the group `scores` a column `score_CLASS` float32
    (softmax of the fixed-point logits), `label`, `file_index` (0) and `jet_index`. Raises FpgaError and DataError.
    """
    loaded = state.read(state_path)
    if out is not None and Path(out).suffix != ".h5":
        raise FpgaError(f"{out}: expected a file name that ends in .h5")
    emulator = Emulator(loaded)
    start, right, jets = time.perf_counter(), 0, 0
    about = {
        "model": str(state_path),
        "files": [str(data)],
        "class_names": list(loaded.class_names),
        "min_pt_gev": loaded.inputs.min_pt_gev,
        "split": split,
    }
    with schema.Reader(data) as reader:
        chosen = _chosen(reader, split, loaded.class_names)
        total = int(chosen.sum())
        with _ScoreFile(None if out is None else Path(out), about, total) as file:
            for codes, labels, positions in _answers(
                emulator, reader, chosen, workers or os.cpu_count() or 1
            ):
                logits = loaded.formats["logits"].value(codes)
                right += int((np.argmax(logits, axis=1) == labels).sum())
                jets += len(codes)
                file.append(logits, labels, positions)
                progress(jets, total)
    seconds = time.perf_counter() - start
    return Emulation(jets, right / jets if jets else None, seconds, emulator.engine, str(out or ""))


Answers = tuple[Codes, NDArray[np.int64], NDArray[np.int64]]


def _chosen(reader: schema.Reader, split: str, class_names: tuple[str, ...]) -> NDArray[np.bool_]:
    """Whether each jet is asked for. Raises FpgaError where the classes of the file are not those of the network."""
    if reader.class_names != class_names:
        raise FpgaError(
            f"{reader.path}: its classes are {', '.join(reader.class_names)}, those of the network {', '.join(class_names)}."
        )
    return file_mask(reader, split)


def _answers(
    emulator: Emulator, reader: schema.Reader, chosen: NDArray[np.bool_], workers: int
) -> Iterator[Answers]:
    """Codes, labels and positions chunk by chunk; a few chunks are under way at a time."""

    def work(start: int) -> Answers:
        here = chosen[start : start + CHUNK]
        jets = reader.read(start, start + CHUNK)
        if not here.all():
            jets = jets.select(here)
        positions = np.flatnonzero(here) + start
        _, x, mask = vectors.inputs_of(emulator.state, jets, positions)
        return emulator(x, mask), jets.labels, positions

    with ThreadPoolExecutor(workers) as pool:
        waiting: deque[Future[Answers]] = deque()
        for start in range(0, len(chosen), CHUNK):
            waiting.append(pool.submit(work, start))
            if len(waiting) > 2 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


class _ScoreFile:
    """Takes the scores of so many jets; the file gets its name when it is whole. Without a path it swallows them."""

    def __init__(self, path: Path | None, about: dict[str, Any], jets: int) -> None:
        self.path, self.about, self.jets, self.written = path, about, jets, 0
        self.names = [f"score_{re.sub(r'[^0-9A-Za-z_]', '_', name)}" for name in about["class_names"]]
        self.temporary = None if path is None else path.with_name(f".{path.name}.{os.getpid()}.tmp")
        self.file: h5py.File | None = None
        self.columns: dict[str, h5py.Dataset] = {}

    def __enter__(self) -> _ScoreFile:
        if self.temporary is not None:
            try:
                self.file = h5py.File(self.temporary, "w")
            except OSError as error:
                raise FpgaError(f"{self.path}: cannot be written ({error})") from None
            self.file.attrs["about"] = json.dumps(self.about)
            kinds: dict[str, type[np.generic]] = dict.fromkeys(self.names, np.float32)
            kinds |= {"label": np.int64, "file_index": np.int32, "jet_index": np.int64}
            group = self.file.create_group("scores")
            self.columns = {name: group.create_dataset(name, self.jets, kind) for name, kind in kinds.items()}
        return self

    def append(
        self, logits: NDArray[np.float64], labels: NDArray[np.int64], positions: NDArray[np.int64]
    ) -> None:
        if self.file is None:
            return
        exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
        probabilities = exponentials / exponentials.sum(axis=1, keepdims=True)
        values = dict(zip(self.names, probabilities.T.astype(np.float32, order="C"), strict=True))
        values |= {"label": labels, "jet_index": positions}  # file_index stays 0
        rows = slice(self.written, self.written + len(labels))
        for name, column in values.items():
            self.columns[name][rows] = column
        self.written = rows.stop

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self.file is None or self.temporary is None or self.path is None:
            return
        self.file.close()
        if kind is None:
            os.replace(self.temporary, self.path)
        self.temporary.unlink(missing_ok=True)
