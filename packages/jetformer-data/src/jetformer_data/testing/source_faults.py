"""For tests: files of jets damaged in seeded ways, read in a process of its own, and judged.

What is read of a damaged file must be refused with a sentence that names the file, or be jets that can be: a crash, a
hang, another exception and nonsense all count as faults.
"""

from __future__ import annotations

import multiprocessing
import resource
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from jetformer_data.errors import DataError
from jetformer_data.raw import RawJets
from jetformer_data.sources import open_source
from jetformer_data.testing.source_contract import wrong_labels
from jetformer_data.testing.source_examples import (
    FOUR,
    WITH_LISTS,
    WRITERS,
    Example,
    equals,
    example,
)

_SECONDS = 20
_MEMORY = 8 << 30
_WITH_OFFSETS = ("schema", "npz_rows", "hdf5_rows")


@dataclass(frozen=True)
class Mutation:
    """A damaged file. `refused`: True if it must be, False if it must be read as `jets`, None if either will do."""

    path: Path
    what: str
    refused: bool | None
    jets: Example


@dataclass
class Verdicts:
    """What became of the damaged files of one kind."""

    files: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)


def mutations(kind: str, folder: Path, rng: np.random.Generator, number: int) -> Iterator[Mutation]:
    """Write `number` damaged files of a kind of `WRITERS`, one after another, each over the last."""
    ending, write = WRITERS[kind][1:]
    path = folder / f"{kind}{ending}"
    jets = example()
    write(path, jets)
    intact = path.read_bytes()
    contents = list(_CONTENTS.values())
    for k in range(number):
        if k % 3 == 0:
            what, refused, wrong = contents[k // 3 % len(contents)](kind, jets, rng)
            write(path, wrong)
            yield Mutation(path, what, refused, wrong)
        else:
            what, damaged = _damaged(intact, rng)
            path.write_bytes(damaged)
            yield Mutation(path, what, None, jets)


def judge(kind: str, folder: Path, seed: int, number: int) -> Verdicts:
    """Read `number` damaged files of a kind in a process of its own; a fresh one takes over where it dies or hangs."""
    verdicts = Verdicts()
    reader = _Reader()
    try:
        for mutation in mutations(kind, folder, np.random.default_rng([seed, *kind.encode()]), number):
            outcome, message = reader.ask(mutation, kind)
            verdicts.files += 1
            verdicts.outcomes[outcome] += 1
            is_expected = mutation.refused is None or mutation.refused == (outcome == "refused")
            if outcome not in ("refused", "read", "read, changed") or not is_expected:
                verdicts.faults.append(f"{kind} {verdicts.files - 1}, {mutation.what}: {outcome}: {message}")
            elif mutation.refused is False and outcome != "read":
                verdicts.faults.append(f"{kind} {verdicts.files - 1}, {mutation.what}: read, but not right")
    finally:
        reader.stop()
    return verdicts


class _Reader:
    """A process that reads files on demand."""

    def __init__(self) -> None:
        self._context = multiprocessing.get_context("spawn")
        self._start()

    def ask(self, mutation: Mutation, kind: str) -> tuple[str, str]:
        try:
            self._pipe.send((mutation.path, mutation.jets, kind))
            if self._pipe.poll(_SECONDS):
                outcome, message = self._pipe.recv()
                return outcome, message
            outcome = "hang"
        except (EOFError, OSError):
            self._process.join()
            outcome = f"crash (exit code {self._process.exitcode})"
        self.stop()
        self._start()
        return outcome, ""

    def stop(self) -> None:
        self._process.kill()
        self._process.join()
        self._pipe.close()

    def _start(self) -> None:
        self._pipe, theirs = self._context.Pipe()
        self._process = self._context.Process(target=_serve, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()


def _serve(pipe: Connection) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    while True:
        path, jets, kind = pipe.recv()
        pipe.send(_outcome(path, jets, kind))


def _outcome(path: Path, jets: Example, kind: str) -> tuple[str, str]:
    try:
        with open_source(path) as source:
            raw = source.read()
    except DataError as error:
        message = str(error)
        is_sentence = path.name in message and "\n" not in message
        return ("refused", message) if is_sentence else ("refused without naming the file", message)
    except BaseException as error:
        return "exception", repr(error)
    impossible = _impossible(raw)
    if impossible:
        return "nonsense", impossible
    return ("read", "") if equals(raw, jets, kind) else ("read, changed", "")


def _impossible(raw: RawJets) -> str:
    """Why these jets cannot be; worked out without what the readers check with."""
    counts = np.diff(raw.offsets)
    if raw.offsets[0] != 0 or (counts < 0).any() or len(raw.offsets) != len(raw.labels) + 1:
        return "offsets"
    if ((raw.labels < 0) | (raw.labels >= len(raw.class_names))).any():
        return "labels"
    for name, values in {**raw.constituents, **raw.jets}.items():
        if len(values) != (raw.offsets[-1] if name in raw.constituents else len(raw)):
            return f"length of {name}"
        if not np.isfinite(values.astype(np.float64)).all():
            return f"{name} not finite"
    if not set(FOUR) <= raw.constituents.keys():
        return ""
    energy = raw.constituents["energy"].astype(np.float64)
    momentum = np.sqrt(sum(raw.constituents[name].astype(np.float64) ** 2 for name in FOUR[:3]))
    return "energy" if (energy < 0.98 * momentum - 0.01).any() else ""


# Content that is wrong, or odd: what it is, whether it must be refused, and the jets.
Content = tuple[str, bool | None, Example]


def _planted(name: str, value: float) -> Callable[[str, Example, np.random.Generator], Content]:
    def content(kind: str, jets: Example, rng: np.random.Generator) -> Content:
        values = jets.columns[name].copy()
        values[rng.integers(len(values))] = value
        return f"{name} is {value}", True, jets.with_column(name, values)

    return content


def _missing(kind: str, jets: Example, rng: np.random.Generator) -> Content:
    name = str(rng.choice(FOUR))
    # which features a file of the array schema has is its own affair
    return f"without {name}", None if kind == "schema" else True, jets.without(name)


def _texts(kind: str, jets: Example, rng: np.random.Generator) -> Content:
    return "energy is text", True, jets.with_column("energy", np.full(len(jets.columns["energy"]), b"1.0"))


def _labels(kind: str, jets: Example, rng: np.random.Generator) -> Content:
    wrong = wrong_labels(kind, int(rng.integers(len(jets.labels))))
    return "labels are wrong", True, wrong[rng.integers(len(wrong))]


def _offsets(kind: str, jets: Example, rng: np.random.Generator) -> Content:
    jet = int(rng.integers(3, len(jets.labels) - 1))
    moved = jets.offsets.copy()
    moved[jet] = moved[jet + 1] + 1 if kind in _WITH_OFFSETS else moved[jet - 1]
    if kind in _WITH_OFFSETS:
        return "offsets fall", True, replace(jets, offsets=moved)
    if kind in WITH_LISTS:
        is_same = np.array_equal(moved, jets.offsets)
        return "lists differ in length", not is_same, replace(jets, other_offsets={"energy": moved})
    return "nothing is wrong", False, jets


def _no_constituents(kind: str, jets: Example, rng: np.random.Generator) -> Content:
    return "no constituents at all", None, example(9, empty=9)


def _many_constituents(kind: str, jets: Example, rng: np.random.Generator) -> Content:
    return "more constituents than usual", False, example(6, seed=int(rng.integers(99)), most=200)


def _intact(kind: str, jets: Example, rng: np.random.Generator) -> Content:
    return "another seed", False, example(seed=int(rng.integers(99)))


_CONTENTS: dict[str, Callable[[str, Example, np.random.Generator], Content]] = {
    "nan": _planted("py", np.nan),
    "infinite": _planted("pz", np.inf),
    "negative": _planted("energy", -3.0),
    "slow": _planted("energy", 0.05),
    "huge": _planted("px", 1e25),
    "missing": _missing,
    "texts": _texts,
    "labels": _labels,
    "offsets": _offsets,
    "empty": _no_constituents,
    "many": _many_constituents,
    "intact": _intact,
}


def _damaged(content: bytes, rng: np.random.Generator) -> tuple[str, bytes]:
    """Bytes of a file after an accident."""
    size = len(content)
    data = np.frombuffer(content, np.uint8).copy()
    # half of the accidents happen where the structure is, at the two ends
    place = int(rng.integers(size)) if rng.random() < 0.5 else int(rng.integers(min(size, 1_000)))
    place = size - 1 - place if rng.random() < 0.3 else place
    block = slice(place, place + int(rng.integers(1, 600)))
    accident = int(rng.integers(8))
    if accident == 0:
        return f"cut at {place}", content[:place]
    if accident == 1:
        data[place] ^= 1 << int(rng.integers(8))
        return f"bit at {place}", data.tobytes()
    if accident == 2:
        places = rng.integers(size, size=int(rng.integers(1, 9)))
        data[places] = rng.integers(256, size=len(places))
        return f"bytes at {places.tolist()}", data.tobytes()
    if accident == 3:
        data[block] = 0
        return f"zeros at {block}", data.tobytes()
    if accident == 4:
        data[block] = rng.integers(256, size=len(data[block]))
        return f"noise at {block}", data.tobytes()
    if accident == 5:
        data[place : place + int(rng.choice([2, 4, 8]))] = 255
        return f"large number at {place}", data.tobytes()
    if accident == 6:
        return f"{block} is lost", content[: block.start] + content[block.stop :]
    return f"{block} is there twice", content[: block.stop] + content[block.start :]
