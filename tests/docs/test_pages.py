"""What the pages say is so: links lead somewhere, and commands and options that they name exist.

The Python examples in the pages are run as doctests by the same session.
"""

from __future__ import annotations

import functools
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    page
    for pattern in ("*.md", "docs/**/*.md", "packages/*/*.md", "downstream/*.md", "demo/*.md")
    for page in ROOT.glob(pattern)
)
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))

LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```$", flags=re.MULTILINE | re.DOTALL)
COMMAND = re.compile(
    r"(?:^\s*(?:\$ )?|`)(jetformer-(?:data|model|hpo|compress|fpga) [a-z][^`\n]*)", flags=re.MULTILINE
)


def anchors(page: Path) -> set[str]:
    """The names that headings get where Markdown is shown as HTML."""
    headings = re.findall(r"^#+ +(.*)$", FENCE.sub("", page.read_text(encoding="utf-8")), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links(text: str) -> list[str]:
    """Targets inside the repository; those with a scheme lead elsewhere."""
    return [target for target in LINK.findall(FENCE.sub("", text)) if not re.match(r"[a-z]+:", target)]


def commands(text: str) -> list[list[str]]:
    """Every `jetformer-X SUBCOMMAND ...` in code, continued lines joined, without comments."""
    joined = re.sub(r"\\\n\s*", "", text)
    return [
        shlex.split(re.split(r"\s[|>&;]|\s{2,}#|…", line)[0], comments=True)
        for line in COMMAND.findall(joined)
    ]


@functools.cache
def help_of(program: str, subcommand: str) -> tuple[int, str]:
    done = subprocess.run(
        [Path(sys.executable).with_name(program), subcommand, "--help"],
        env=os.environ | {"COLUMNS": "250", "TERM": "dumb", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_there_are_pages() -> None:
    assert len(PAGES) > 10


@each_page
def test_links_lead_somewhere(page: Path) -> None:
    for link in links(page.read_text(encoding="utf-8")):
        target, _, anchor = link.partition("#")
        place = (page.parent / target).resolve() if target else page
        assert place.exists(), f"{page.name}: {link}"
        if anchor:
            assert anchor in anchors(place), f"{page.name}: {link}"


@each_page
def test_commands_exist_with_the_options_named(page: Path) -> None:
    for program, subcommand, *arguments in commands(page.read_text(encoding="utf-8")):
        status, shown = help_of(program, subcommand)
        assert status == 0, f"{page.name}: `{program} {subcommand}`: {shown}"
        for argument in arguments:
            if argument.startswith("--"):
                option = argument.partition("=")[0]
                assert re.search(rf"{option}\b", shown), (
                    f"{page.name}: `{program} {subcommand}` has no {option}"
                )


def test_the_checks_see_what_they_look_for() -> None:
    text = "Run `jetformer-data inspect x.h5`:\n\n    jetformer-hpo search a.h5 \\\n        --trials 3  # more\n[a](b.md#c) [d](https://e)"
    assert commands(text) == [
        ["jetformer-data", "inspect", "x.h5"],
        ["jetformer-hpo", "search", "a.h5", "--trials", "3"],
    ]
    assert links(text) == ["b.md#c"]
    assert help_of("jetformer-hpo", "no-such-command")[0] != 0
