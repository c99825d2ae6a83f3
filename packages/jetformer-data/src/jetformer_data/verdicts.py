"""Whether a file can be trusted: a verdict on each thing that can be wrong with jets, found in one pass in pieces.

A check is a class with `see(raw, first)` for each piece and `verdict()` at the end. A check of every constituent or
every jet alone is a row of `RULES`.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from jetformer_data.contents import CHUNK_JETS, Contents, open_contents
from jetformer_data.duplicates import DuplicateFinder
from jetformer_data.errors import DataError
from jetformer_data.quantities import complete
from jetformer_data.raw import RawJets

Level = Literal["ok", "warn", "FAIL", "skip"]
Mask = NDArray[np.bool_]

MAX_ETA = 6.0
_ANGLES = ("phi", "phirel", "part_dphi")
_KINDS = ("is_charged_hadron", "is_neutral_hadron", "is_photon", "is_electron", "is_muon")
# What float32 does to an angle near pi, and to a massless particle's energy.
_ANGLE_ROUNDING, _ENERGY_ROUNDING = 1e-6, 1e-5
_FEW_DUPLICATES = 1e-3  # of the jets: more is a mistake in the making of the file
# A pile at the greatest number of constituents: so many jets, and so many times those at each of the numbers below it.
_LEAST_PILE, _STEEP_PILE, _NEIGHBOURS = 5, 4, 5
_MOST_NAMES = 8
_LEAST_BALANCE = 0.1  # of the largest class
_MOST_UNREADABLE = 50  # jets that are looked for one by one


@dataclass(frozen=True)
class Verdict:
    """`count` things are wrong, the first at jet `jet` of the file; `skip` where the file has nothing to check."""

    name: str
    level: Level
    message: str
    count: int = 0
    jet: int | None = None

    def __str__(self) -> str:
        return f"{self.level:<5} {self.name}: {self.message}"

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Rule:
    """`wrong(raw)` is True where a constituent (or jet, by `of`) is not `phrase`; `shown` is what to print of it.

    It is asked where `needs` can be had and at least one of `stored` is in the file itself. `only_ours`: files in other
    formats may break it, since `convert` mends it or people publish such jets, so there it is a warning.
    """

    name: str
    of: Literal["constituents", "jets"]
    needs: tuple[str, ...]
    wrong: Callable[[RawJets], Mask]
    phrase: str
    shown: str | None = None
    stored: tuple[str, ...] = ()
    only_ours: bool = False

    def applies_to(self, raw: RawJets) -> bool:
        is_stored = not self.stored or any(n in raw.constituents or n in raw.jets for n in self.stored)
        return is_stored and all(raw.has(name) for name in self.needs)


def _beyond_pi(names: tuple[str, ...], raw: RawJets) -> Mask:
    columns = [raw.column(name) for name in names if name in raw.constituents or name in raw.jets]
    return np.asarray(np.any([abs(c) > np.pi + _ANGLE_ROUNDING for c in columns], axis=0), np.bool_)


def _below_momentum(raw: RawJets) -> Mask:
    momentum = np.sqrt(raw.column("px") ** 2 + raw.column("py") ** 2 + raw.column("pz") ** 2)
    return np.asarray(raw.column("energy") < momentum * (1 - _ENERGY_ROUNDING))


def _not_one_kind(raw: RawJets) -> Mask:
    flags = np.stack([raw.column(name) for name in _KINDS])
    return np.asarray((flags.sum(axis=0) > 1) | ~np.isin(flags, (0, 1)).all(axis=0))


def _rises(raw: RawJets) -> Mask:
    """Where the pt is greater than that of the constituent before."""
    pt = raw.column("pt").astype(np.float32)
    rises = np.zeros(len(pt), np.bool_)
    rises[1:] = pt[1:] > pt[:-1]
    rises[raw.offsets[:-1][np.diff(raw.offsets) > 0]] = False
    return rises


def _column(name: str, wrong: Callable[[Any], Any]) -> Callable[[RawJets], Mask]:
    return lambda raw: np.asarray(wrong(raw.column(name)), np.bool_)


_IN_PI = "in [-pi, pi)"
RULES = (
    Rule("pt", "constituents", ("pt",), _column("pt", lambda x: x <= 0), "above 0", "pt"),
    Rule(
        "eta",
        "constituents",
        ("eta",),
        _column("eta", lambda x: abs(x) >= MAX_ETA),
        f"within {MAX_ETA:.0f} of 0",
        "eta",
    ),
    Rule(
        "phi",
        "constituents",
        (),
        lambda raw: _beyond_pi(_ANGLES, raw),
        _IN_PI,
        stored=_ANGLES,
        only_ours=True,
    ),
    Rule(
        "energy",
        "constituents",
        ("energy", "px", "py", "pz"),
        _below_momentum,
        "at least |p|",
        "energy",
        ("energy",),
        only_ours=True,
    ),
    Rule("order", "constituents", ("pt",), _rises, "sorted by falling pt", "pt", only_ours=True),
    Rule(
        "charge",
        "constituents",
        ("charge",),
        _column("charge", lambda x: ~np.isin(x, (-1, 0, 1))),
        "-1, 0 or 1",
        "charge",
    ),
    Rule("kind", "constituents", _KINDS, _not_one_kind, "flagged as one kind or as none"),
    Rule(
        "jet pt",
        "jets",
        ("jet_pt",),
        lambda raw: (raw.column("jet_pt") <= 0) & (np.diff(raw.offsets) > 0),
        "above 0",
        "jet_pt",
        ("jet_pt",),
    ),
    Rule(
        "jet mass",
        "jets",
        ("jet_mass",),
        _column("jet_mass", lambda x: x < 0),
        "0 or more",
        "jet_mass",
        ("jet_mass",),
    ),
    Rule(
        "jet phi",
        "jets",
        ("jet_phi",),
        lambda raw: _beyond_pi(("jet_phi",), raw),
        _IN_PI,
        "jet_phi",
        ("jet_phi",),
    ),
)


class Check(ABC):
    """One thing that can be wrong with a file."""

    @abstractmethod
    def see(self, raw: RawJets, first: int) -> None:
        """Take in jets; the first of them is jet `first` of the file."""

    @abstractmethod
    def verdict(self) -> Verdict:
        """What was found in all jets seen."""


class RuleCheck(Check):
    """Counts what breaks a rule, in completed jets. `level`: of what is found."""

    def __init__(self, rule: Rule, level: Level = "FAIL") -> None:
        self.rule, self.level = rule, level
        self.asked = self.count = 0
        self.first = ""
        self.jet: int | None = None

    def see(self, raw: RawJets, first: int) -> None:
        if not self.rule.applies_to(raw):
            return
        wrong = self.rule.wrong(raw)
        self.asked += len(wrong)
        self.count += int(wrong.sum())
        if self.jet is None and wrong.any():
            row = int(np.argmax(wrong))
            jet = int(raw.jet_of[row]) if self.rule.of == "constituents" else row
            place = f", constituent {row - raw.offsets[jet]}" if self.rule.of == "constituents" else ""
            value = f": {self.rule.shown} = {raw.column(self.rule.shown)[row]:.6g}" if self.rule.shown else ""
            self.jet, self.first = first + jet, f"jet {first + jet}{place}{value}"

    def verdict(self) -> Verdict:
        name, rule = self.rule.name, self.rule
        if not self.asked:
            return Verdict(name, "skip", "nothing of it is stored")
        if self.count:
            text = f"{self.count:,} of {self.asked:,} {rule.of} are not {rule.phrase} ({self.first})"
            return Verdict(name, self.level, text, self.count, self.jet)
        return Verdict(name, "ok", f"{self.asked:,} {rule.of}, all {rule.phrase}")


class Finite(Check):
    """Every number that is stored."""

    def __init__(self) -> None:
        self.numbers = self.count = 0
        self.first = ""
        self.jet: int | None = None

    def see(self, raw: RawJets, first: int) -> None:
        for columns, jet_of in ((raw.constituents, raw.jet_of), (raw.jets, np.arange(len(raw)))):
            for name, values in columns.items():
                wrong = ~np.isfinite(np.asarray(values, np.float64))
                self.numbers += len(wrong)
                self.count += int(wrong.sum())
                if wrong.any():
                    row = int(np.argmax(wrong))
                    jet = first + int(jet_of[row])
                    if self.jet is None or jet < self.jet:
                        self.jet, self.first = jet, f"jet {jet}: {name} = {values[row]}"

    def verdict(self) -> Verdict:
        if self.count:
            text = f"{self.count:,} of {self.numbers:,} numbers are not finite ({self.first})"
            return Verdict("finite", "FAIL", text, self.count, self.jet)
        return Verdict("finite", "ok", f"{self.numbers:,} numbers, none of them NaN or infinite")


class Labels(Check):
    """Labels within the classes, and classes of about the same size."""

    def __init__(self, class_names: tuple[str, ...]) -> None:
        self.class_names = class_names
        self.jets = np.zeros(len(class_names), np.int64)
        self.count = 0
        self.first: tuple[int, int] | None = None

    def see(self, raw: RawJets, first: int) -> None:
        wrong = (raw.labels < 0) | (raw.labels >= len(self.class_names))
        self.jets += np.bincount(raw.labels[~wrong], minlength=len(self.class_names))
        self.count += int(wrong.sum())
        if self.first is None and wrong.any():
            jet = int(np.argmax(wrong))
            self.first = first + jet, int(raw.labels[jet])

    def verdict(self) -> Verdict:
        classes = len(self.class_names)
        if self.first:
            jet, label = self.first
            text = f"{self.count:,} jets lie outside the {classes} classes (jet {jet}: label {label})"
            return Verdict("labels", "FAIL", text, self.count, jet)
        return Verdict("labels", "ok", f"{self.jets.sum():,} jets in {classes} classes")

    def balance(self) -> Verdict:
        """The smallest class beside the largest."""
        least, most = int(np.argmin(self.jets)), int(np.argmax(self.jets))
        absent = [name for name, jets in zip(self.class_names, self.jets, strict=True) if not jets]
        if absent and self.jets.any():
            names = ", ".join(absent[:_MOST_NAMES]) + (", ..." if len(absent) > _MOST_NAMES else "")
            return Verdict(
                "balance",
                "warn",
                f"{len(absent)} of {len(self.jets)} classes have no jets: {names}",
                len(absent),
            )
        shares = f"{self.class_names[least]} has {self.jets[least]:,} jets, {self.class_names[most]} {self.jets[most]:,}"
        is_even = self.jets[least] >= _LEAST_BALANCE * self.jets[most]
        return Verdict("balance", "ok" if is_even else "warn", f"from least to most: {shares}")


class Multiplicity(Check):
    """Jets without constituents, and jets that were cut at a number of constituents."""

    def __init__(self) -> None:
        self.jets = np.zeros(1, np.int64)
        self.first_empty: int | None = None

    def see(self, raw: RawJets, first: int) -> None:
        counts = np.diff(raw.offsets)
        new = np.bincount(counts, minlength=len(self.jets))
        new[: len(self.jets)] += self.jets
        self.jets = new
        if self.first_empty is None and (counts == 0).any():
            self.first_empty = first + int(np.argmin(counts))

    def verdict(self) -> Verdict:
        empty, jets = int(self.jets[0]), int(self.jets.sum())
        if not empty:
            return Verdict("empty", "ok", f"{jets:,} jets, all of them with constituents")
        text = f"{empty:,} of {jets:,} jets have no constituents (jet {self.first_empty})"
        return Verdict("empty", "FAIL" if empty == jets else "warn", text, empty, self.first_empty)

    def cut(self) -> Verdict:
        """A pile of jets at the greatest number means that the rest of their constituents was left out."""
        most, jets = len(self.jets) - 1, int(self.jets.sum())
        pile = int(self.jets[-1])
        below = self.jets[max(1, most - _NEIGHBOURS) : most]
        usual = float(below.mean()) if len(below) else 0.0
        if most > 1 and pile >= _LEAST_PILE and pile > _STEEP_PILE * max(1.0, usual):
            text = f"{pile:,} of {jets:,} jets have exactly {most} constituents: more were probably left out"
            return Verdict("cut", "warn", text, pile)
        return Verdict("cut", "ok", f"at most {most} constituents, without a pile of jets there")


class Duplicates(Check):
    """Jets that hold exactly the same."""

    def __init__(self, finder: DuplicateFinder) -> None:
        self.finder, self.jets = finder, 0

    def see(self, raw: RawJets, first: int) -> None:
        self.finder.add(raw, first)
        self.jets += len(raw)

    def verdict(self) -> Verdict:
        found = self.finder.repeated()
        if found.first is None:
            return Verdict("duplicates", "ok", f"{self.jets:,} jets, no two with the same constituents")
        jet, original = found.first
        relabelled = f", {found.relabelled:,} of them in another class" if found.relabelled else ""
        text = f"{found.jets:,} of {self.jets:,} jets occur again{relabelled} (jet {jet} is jet {original})"
        level: Level = "FAIL" if found.jets > _FEW_DUPLICATES * self.jets or found.relabelled else "warn"
        return Verdict("duplicates", level, text, found.jets, jet)


def validate(
    path: str | os.PathLike[str], progress: Callable[[int, int], None] = lambda done, jets: None
) -> list[Verdict]:
    """All verdicts on a file; `progress(done, jets)` is called now and then. Raises `DataError` if it cannot be opened."""
    with open_contents(path) as file, DuplicateFinder() as finder:
        rules = [RuleCheck(r, "warn" if r.only_ours and not file.is_schema else "FAIL") for r in RULES]
        labels, multiplicity, finite, duplicates = (
            Labels(file.class_names),
            Multiplicity(),
            Finite(),
            Duplicates(finder),
        )
        readable = Readable(file)
        for first, raw in readable.pieces():
            with np.errstate(all="ignore"):  # what is not finite is one check's business, not all the others'
                labels.see(raw, first)
                for check in (multiplicity, finite, duplicates):
                    check.see(raw, first)
                whole = complete(raw)
                for rule in rules:
                    rule.see(whole, first)
            progress(first + len(raw), len(file))
        verdicts = [readable.verdict(), labels.verdict()]
        if len(file):
            verdicts += [labels.balance(), finite.verdict(), *(rule.verdict() for rule in rules)]
            verdicts += [multiplicity.verdict(), multiplicity.cut(), duplicates.verdict()]
        return [*verdicts, _normalisation(file), _provenance(file)]


class Readable:
    """Reads piece by piece; where that fails, jet by jet, so that one bad jet does not hide the others."""

    def __init__(self, file: Contents) -> None:
        self.file, self.count = file, 0
        self.jet: int | None = None
        self.reason = ""

    def pieces(self) -> Iterator[tuple[int, RawJets]]:
        for start in range(0, len(self.file), CHUNK_JETS):
            yield from self._read(start, min(start + CHUNK_JETS, len(self.file)))

    def _read(self, start: int, stop: int) -> Iterator[tuple[int, RawJets]]:
        try:
            raw = self.file.read_unchecked(start, stop)
        except DataError as error:
            if stop - start == 1 or self.count >= _MOST_UNREADABLE:
                self.count += stop - start
                if self.jet is None:
                    self.jet, self.reason = start, str(error)
                return
        else:
            yield start, raw
            return
        middle = (start + stop) // 2
        yield from self._read(start, middle)
        yield from self._read(middle, stop)

    def verdict(self) -> Verdict:
        kind = f"{self.file.source.format}{' ' + self.file.version if self.file.version else ''}"
        if self.count:
            text = f"{self.count:,} of {len(self.file):,} jets cannot be read as {kind} ({self.reason})"
            return Verdict("readable", "FAIL", text, self.count, self.jet)
        if not len(self.file):
            return Verdict("readable", "FAIL", f"{kind}, but there are no jets in it")
        return Verdict("readable", "ok", f"{len(self.file):,} jets, {kind}")


def _normalisation(file: Contents) -> Verdict:
    if not file.is_schema:
        return Verdict("normalisation", "skip", f"a {file.source.format} file has none")
    if file.normalisation is None:
        return Verdict(
            "normalisation", "warn", "no constants are stored: they must be computed before training"
        )
    return Verdict("normalisation", "ok", f"constants of {len(file.normalisation.mean)} features")


def _provenance(file: Contents) -> Verdict:
    if not file.is_schema:
        return Verdict("provenance", "skip", f"a {file.source.format} file has none")
    if "program" not in file.provenance:
        return Verdict("provenance", "warn", "which program made the file is not recorded")
    version = file.provenance.get("version", "")
    return Verdict("provenance", "ok", f"made by {file.provenance['program']} {version}".rstrip())
