"""The scripts under ci/ say what is wrong, and add up honestly."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

RECORD = """<testsuites><testsuite name="pytest" errors="{errors}" failures="{failures}" skipped="{skipped}"
tests="{tests}" time="{time}"/></testsuites>"""


def repository(folder: Path) -> Path:
    """The least of a checkout: the scripts in ci/."""
    (folder / "ci").mkdir()
    for name in ("nox", "total.py", "constraints.txt"):
        (folder / "ci" / name).write_bytes((ROOT / "ci" / name).read_bytes())
    return folder


def run(folder: Path, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=folder, env=os.environ | environment, capture_output=True, text=True, check=False
    )


def record(folder: Path, name: str, **counts: float) -> None:
    stated = {"errors": 0, "failures": 0, "skipped": 0, "tests": 0, "time": 0} | counts
    (folder / "build" / "tests").mkdir(parents=True, exist_ok=True)
    (folder / "build" / "tests" / f"{name}.xml").write_text(RECORD.format(**stated), encoding="utf-8")


def test_nox_without_a_python_says_so(tmp_path: Path) -> None:
    done = run(repository(tmp_path), "sh", "ci/nox", "-l", PYTHON=str(tmp_path / "absent"))
    assert done.returncode != 0
    assert done.stderr.startswith("ci/nox: needs Python 3.11 or newer, and found none")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / ".nox-env").exists()


def test_nox_refuses_an_old_python(tmp_path: Path) -> None:
    old = tmp_path / "python"
    # a python whose version check says no
    old.write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    old.chmod(0o755)
    done = run(repository(tmp_path), "sh", "ci/nox", "-l", PYTHON=str(old))
    assert done.returncode != 0
    assert "found none at" in done.stderr


def test_total_adds_up(tmp_path: Path) -> None:
    record(repository(tmp_path), "one", tests=7, skipped=2, time=1.25)
    record(tmp_path, "two", tests=11, time=2.5)
    done = run(tmp_path, sys.executable, "ci/total.py", "one", "two")
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1].strip("= ") == "16 passed, 2 skipped in 3.75s"


@pytest.mark.parametrize("counts", ({"failures": 1}, {"errors": 1}), ids=("failure", "error"))
def test_total_fails_where_one_run_failed(tmp_path: Path, counts: dict[str, float]) -> None:
    record(repository(tmp_path), "one", tests=7)
    record(tmp_path, "two", tests=5, **counts)
    assert run(tmp_path, sys.executable, "ci/total.py", "one", "two").returncode == 1


def test_total_fails_where_one_run_found_no_tests(tmp_path: Path) -> None:
    record(repository(tmp_path), "one", tests=7)
    record(tmp_path, "two")
    done = run(tmp_path, sys.executable, "ci/total.py", "one", "two")
    assert done.returncode == 1
    assert "7 passed, 1 error in" in done.stdout.splitlines()[-1]


def test_total_fails_where_one_run_never_came_to_pytest(tmp_path: Path) -> None:
    record(repository(tmp_path), "one", tests=7)
    done = run(tmp_path, sys.executable, "ci/total.py", "one", "two")
    assert done.returncode == 1
    assert "never ran" in done.stdout
    assert "7 passed, 1 error in" in done.stdout.splitlines()[-1]
