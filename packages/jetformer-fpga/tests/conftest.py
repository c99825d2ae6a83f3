"""Small networks of odd sizes, and a few jets; the Yosys cache of the tests is their own."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from jetformer_data import schema
from jetformer_data.testing import example_jets
from jetformer_fpga import project, state, tools
from jetformer_fpga.errors import ToolError
from jetformer_fpga.testing import random_state

SMALL = {
    "constituents": 3,
    "features": 3,
    "embed_dim": 4,
    "heads": 2,
    "attention_dims": (2,),
    "feedforward_dims": (3,),
    "weight_bits": 4,
    "activation_bits": 6,
}

# As Vitis HLS writes it.
CSYNTH = """<profile><ReportVersion><Version>2023.2</Version></ReportVersion>
<UserAssignments><TargetClockPeriod>5.00</TargetClockPeriod><Part>PART</Part></UserAssignments>
<PerformanceEstimates>
<SummaryOfTimingAnalysis><EstimatedClockPeriod>3.65</EstimatedClockPeriod></SummaryOfTimingAnalysis>
<SummaryOfOverallLatency><Best-caseLatency>90</Best-caseLatency><Worst-caseLatency>93</Worst-caseLatency>
<Interval-min>17</Interval-min><Interval-max>18</Interval-max></SummaryOfOverallLatency></PerformanceEstimates>
<AreaEstimates><Resources><BRAM_18K>4</BRAM_18K><DSP>12288</DSP><FF>100</FF><LUT>1728</LUT><URAM>0</URAM></Resources>
</AreaEstimates></profile>"""


@pytest.fixture(scope="session")
def small_state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One block, three constituents."""
    return random_state(tmp_path_factory.mktemp("state") / "small.safetensors", seed=3, **SMALL)


@pytest.fixture(scope="session")
def odd_state(tmp_path_factory: pytest.TempPathFactory) -> state.State:
    """Two blocks; sizes that can't be mistaken for each other."""
    path = tmp_path_factory.mktemp("state") / "odd.safetensors"
    sizes = {"constituents": 5, "features": 3, "embed_dim": 7, "heads": 2, "classes": 5}
    random_state(path, seed=11, attention_dims=(6, 4), feedforward_dims=(11, 3), **sizes)
    return state.read(path)


@pytest.fixture(scope="session")
def jets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("jets") / "jets.h5"
    schema.write(path, example_jets(300, seed=5, empty=9))
    return path


@pytest.fixture(scope="session")
def firmware(small_state: Path, tmp_path_factory: pytest.TempPathFactory) -> project.Project:
    """The small network as a project, without resources."""
    out = tmp_path_factory.mktemp("firmware") / "small"
    return project.synth(small_state, out, measure_resources=False)


@pytest.fixture
def copy(firmware: project.Project, tmp_path: Path) -> Path:
    """The project as `synth` left it, to be changed."""
    out = tmp_path / "fw"
    shutil.copytree(firmware.folder, out, ignore=shutil.ignore_patterns("simulation", "verification.json"))
    return out


@pytest.fixture
def simulator() -> None:
    """Skips, naming the tool, where the circuit can't be simulated."""
    try:
        tools.verilator()
        tools.compiler()
    except ToolError as error:
        pytest.skip(str(error))


@pytest.fixture
def csynth_report() -> str:
    return CSYNTH


@pytest.fixture
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20)
