"""The report tells what was measured, and says so where nothing was."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from jetformer_fpga import project, report, verification
from jetformer_fpga.errors import FpgaError, ProjectError


def closes(text: str) -> bool:
    """Whether every element that is opened is closed in order."""
    open_ones: list[str] = []

    class Parser(HTMLParser):
        def handle_starttag(self, tag: str, attrs: object) -> None:
            if tag not in ("meta",):
                open_ones.append(tag)

        def handle_endtag(self, tag: str) -> None:
            assert open_ones.pop() == tag

        def handle_startendtag(self, tag: str, attrs: object) -> None:
            """Nothing stays open."""

    Parser().feed(text)
    return not open_ones


def test_before_verification(copy: Path, tmp_path: Path) -> None:
    about = report.write(copy, tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text()
    assert closes(text)
    assert "Not verified yet" in text
    assert "not measured" in text
    assert about["waveform"] is None
    assert json.loads((tmp_path / "report.json").read_text())["project"]["latency_cycles"] > 1


@pytest.mark.usefixtures("simulator")
def test_after_verification(
    firmware: project.Project, jets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verification, "_pytorch", lambda *_: (None, np.zeros(0, np.int64), "not asked"))
    verdict = verification.verify(firmware.folder, jets, split="all")
    about = report.write(firmware.folder, tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text()
    assert closes(text)
    assert "300 jets and 10 corner vectors: equal in every bit" in text
    assert f"Accuracy of the circuit: {verdict.accuracy:.2%} of these jets (split: all)" in text
    waves = about["waveform"]
    out = waves["valid_out"].index(1)
    assert out - waves["valid_in"].index(1) == firmware.description["latency_cycles"]
    assert waves["logits"][out] == waves["expected"]


def test_bad_requests_are_sentences(firmware: project.Project, tmp_path: Path) -> None:
    with pytest.raises(FpgaError, match=r"ends in \.html"):
        report.write(firmware.folder, tmp_path / "report.pdf")
    with pytest.raises(ProjectError, match="no firmware project"):
        report.write(tmp_path, tmp_path / "report.html")
