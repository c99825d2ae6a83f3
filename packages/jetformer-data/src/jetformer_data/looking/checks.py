"""Checks of a file of jets, each fed piece by piece and asked for a verdict at the end."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from jetformer_data.looking.duplicates import DuplicateFinder
from jetformer_data.looking.rules import Rule
from jetformer_data.raw import RawJets

Level = Literal["ok", "warn", "FAIL", "skip"]

_FEW_DUPLICATES = 1e-3  # of the jets: more is a mistake in the making of the file
# A pile at the greatest number of constituents: so many jets, and so many times those at each of the numbers below it.
_LEAST_PILE, _STEEP_PILE, _NEIGHBOURS = 5, 4, 5
_MOST_NAMES = 8
_LEAST_BALANCE = 0.1  # of the largest class


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

    def cut(self, asked_for: int | None = None) -> Verdict:
        """A pile of jets at the greatest number means that the rest was left out; fine if `asked_for` is that number."""
        most, jets = len(self.jets) - 1, int(self.jets.sum())
        pile = int(self.jets[-1])
        below = self.jets[max(1, most - _NEIGHBOURS) : most]
        usual = float(below.mean()) if len(below) else 0.0
        if most > 1 and pile >= _LEAST_PILE and pile > _STEEP_PILE * max(1.0, usual):
            text = f"{pile:,} of {jets:,} jets have exactly {most} constituents"
            if asked_for == most:
                return Verdict("cut", "ok", f"{text}, the number that was asked for")
            return Verdict("cut", "warn", f"{text}: more were probably left out", pile)
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
