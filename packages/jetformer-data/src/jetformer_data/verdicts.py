"""Whether a file can be trusted: a verdict on each thing that can be wrong with jets, found in one pass in pieces."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import numpy as np

from jetformer_data.errors import DataError
from jetformer_data.looking.checks import Duplicates, Finite, Labels, Multiplicity, RuleCheck, Verdict
from jetformer_data.looking.contents import CHUNK_JETS, Contents, open_contents
from jetformer_data.looking.duplicates import DuplicateFinder
from jetformer_data.looking.quantities import complete
from jetformer_data.looking.rules import RULES
from jetformer_data.raw import RawJets

__all__ = ["RULES", "Verdict", "validate"]

_MOST_UNREADABLE = 50  # jets that are looked for one by one


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
            verdicts += [
                multiplicity.verdict(),
                multiplicity.cut(file.provenance.get("max_constituents")),
                duplicates.verdict(),
            ]
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
        return Verdict("normalisation", "skip", "files of this format have none")
    if file.normalisation is None:
        return Verdict(
            "normalisation", "warn", "no constants are stored: they must be computed before training"
        )
    return Verdict("normalisation", "ok", f"constants of {len(file.normalisation.mean)} features")


def _provenance(file: Contents) -> Verdict:
    if not file.is_schema:
        return Verdict("provenance", "skip", "files of this format have none")
    if "program" not in file.provenance:
        return Verdict("provenance", "warn", "which program made the file is not recorded")
    version = file.provenance.get("version", "")
    return Verdict("provenance", "ok", f"made by {file.provenance['program']} {version}".rstrip())
