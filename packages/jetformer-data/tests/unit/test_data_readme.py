"""What the README shows works."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from jetformer_data.cli import app

README = (Path(__file__).parents[2] / "README.md").read_text()


def test_python_runs(tmp_path: Path) -> None:
    code = "\n".join(re.findall(r"```python\n(.*?)```", README, re.DOTALL))
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert "('g', 'q', 'W', 'Z', 't')" in result.stdout


@pytest.mark.parametrize("line", re.findall(r"^    jetformer-data (.*)$", README, re.MULTILINE))
def test_commands_exist_with_their_options(line: str) -> None:
    command, *rest = line.split()
    text = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "200", "NO_COLOR": "1"}).stdout
    for option in (word for word in rest if word.startswith("--")):
        assert option in text
