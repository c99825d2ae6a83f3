"""Every command that takes a state takes those of the interface, whatever made them."""

from pathlib import Path
from typing import Any, ClassVar

import pytest
from typer.testing import CliRunner

from jetformer_model.cli import app
from jetformer_model.errors import ModelError
from jetformer_model.testing import StateReaderContract


class Command(StateReaderContract):
    expected_error = ModelError
    words: ClassVar[tuple[str, ...]]

    @pytest.fixture(autouse=True)
    def _jets(self, jets_file: Path) -> None:
        self.jets = jets_file

    def use_state(self, path: Path) -> Any:
        words = [word.format(state=path, jets=self.jets, out=path.with_name("out")) for word in self.words]
        result = CliRunner().invoke(app, words)
        if result.exception is not None:
            raise result.exception


class TestEvaluate(Command):
    words = ("evaluate", "{state}", "{jets}", "--resamples", "3")


class TestPredict(Command):
    words = ("predict", "{jets}", "--model", "{state}", "--out", "{out}.h5")


class TestSummary(Command):
    words = ("summary", "{state}")


class TestExplain(Command):
    words = ("explain", "{state}", "{jets}", "--repeats", "1", "--most", "50")


class TestFlops(Command):
    words = ("flops", "{state}")


class TestExport(Command):
    words = ("export", "{state}", "--out", "{out}.onnx")
    refused: ClassVar = {"fixed_point": "cannot be exported to ONNX"}
