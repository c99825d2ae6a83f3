"""Adds up the records that the test runs left in build/tests and closes as pytest does: python ci/total.py NAME ...

Each NAME is a run that must have left its record, with at least one test in it; one that has not counts as an error, so
that a run which never came as far as pytest, or found no tests, cannot pass unseen. Exits with 1 where anything failed.
"""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ElementTree
from collections import Counter
from pathlib import Path

RECORDS = Path(__file__).parents[1] / "build" / "tests"


def outcomes(record: Path) -> Counter[str]:
    """How many tests of one run failed, passed, were skipped or broke, and its seconds."""
    if not record.exists():
        return Counter(errors=1)
    counts: Counter[str] = Counter()
    for suite in ElementTree.parse(record).iter("testsuite"):
        read = {key: int(suite.get(key, 0)) for key in ("failures", "errors", "skipped", "tests")}
        bad = read["failures"] + read["errors"] + read["skipped"]
        counts.update(failed=read["failures"], errors=read["errors"], skipped=read["skipped"])
        counts.update(passed=read["tests"] - bad, seconds=round(float(suite.get("time", 0)) * 100))
        counts.update(errors=not read["tests"])
    return counts


def sentence(counts: Counter[str]) -> str:
    """As in pytest's closing line, the parts that are not zero."""
    parts = [f"{counts[key]} {key}" for key in ("failed", "passed", "skipped") if counts[key]]
    if counts["errors"]:
        parts.append(f"{counts['errors']} error" + "s" * (counts["errors"] > 1))
    return f"{', '.join(parts)} in {counts['seconds'] / 100:.2f}s"


def main(names: list[str]) -> int:
    total: Counter[str] = Counter()
    for name in names:
        counts = outcomes(RECORDS / f"{name}.xml")
        total.update(counts)
        print(
            f"{name:>12}: {sentence(counts)}" + ("" if (RECORDS / f"{name}.xml").exists() else " (never ran)")
        )
    print(f" {sentence(total)} ".center(80, "="))
    return 1 if total["failed"] or total["errors"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
