"""Trigger rates, against numbers worked out by hand."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from jetformer_fpga import cli, emulation, rates
from jetformer_fpga.errors import FpgaError


@pytest.fixture
def scores(tmp_path: Path) -> Path:
    """Ten background jets with D = 0.05, 0.15, ..., 0.95, four signal jets with D = 0.2, 0.4, 0.6, 1, and a third class."""
    d = np.concatenate([np.arange(10) / 10 + 0.05, [0.2, 0.4, 0.6, 1.0], [0.5]])
    labels = np.array([0] * 10 + [1] * 4 + [2])
    path = tmp_path / "scores.h5"
    with h5py.File(path, "w") as file:
        file.attrs["about"] = json.dumps({"class_names": ["q", "t t", "W"]})
        columns = {"score_q": (1 - d) / 2, "score_t_t": d / 2, "score_W": np.full(15, 0.5), "label": labels}
        for name, values in columns.items():
            file.create_dataset(f"scores/{name}", data=values)
    return path


def test_rates_by_hand(scores: Path) -> None:
    found = rates.rates_of(scores, ["t t"], ["q"], jets_per_crossing=2, efficiencies=(0.5, 1.0, 0.25))
    tight, middle, loose = found.points
    assert (found.signal_jets, found.background_jets) == (4, 10)
    assert (tight.threshold, tight.background_passed, tight.rate_khz) == (1.0, 0, 0.0)
    assert tight.rate_error_khz == pytest.approx(40_000 * 2 * 0.1)
    assert (middle.threshold, middle.signal_efficiency, middle.background_efficiency) == (
        pytest.approx(0.6),
        0.5,
        0.4,
    )
    assert middle.rate_khz == pytest.approx(40_000 * (1 - 0.6**2))
    assert loose.rate_khz == pytest.approx(40_000 * (1 - 0.2**2))


def test_those_of_the_firmware_and_a_plot(
    small_state: Path, jets: Path, tmp_path: Path, own_cache: Path
) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed: extra 'plot'")
    emulation.emulate(small_state, jets, tmp_path / "scores.h5")
    found = rates.rates_of(tmp_path / "scores.h5", ["W", "Z", "t"], ["g", "q"], jets_per_crossing=4)
    khz = [point.rate_khz for point in found.points]
    assert khz == sorted(khz)
    rates.plot(found, tmp_path / "rate.svg")
    assert (tmp_path / "rate.svg").stat().st_size > 1000


@pytest.mark.parametrize(
    ("signal", "background", "options", "words"),
    (
        (["t"], ["q"], {}, "class 't': .* has scores of q, t t, W"),
        (["q"], ["q"], {}, "none in both"),
        ([], ["q"], {}, "at least one class"),
        (["t t"], ["q"], {"jets_per_crossing": 0}, "at least 1"),
        (["t t"], ["q"], {"efficiencies": (0.0,)}, "above 0"),
    ),
)
def test_bad_requests(
    signal: list[str], background: list[str], options: dict[str, object], words: str, scores: Path
) -> None:
    arguments = {"jets_per_crossing": 1} | options
    with pytest.raises(FpgaError, match=words):
        rates.rates_of(scores, signal, background, **arguments)  # type: ignore[arg-type]


def test_no_scores(tmp_path: Path, jets: Path) -> None:
    for path, words in ((tmp_path / "none.h5", "no such file"), (jets, "expected HDF5 scores")):
        with pytest.raises(FpgaError, match=words):
            rates.rates_of(path, ["t"], ["q"], jets_per_crossing=1)


def test_the_command(
    scores: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["rate", str(scores), "--signal", "t t", "--background", "q", "--jets-per-crossing", "2"]
    monkeypatch.setattr("sys.argv", ["jetformer-fpga", *arguments, "--efficiencies", "0.25,0.5"])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    out = capsys.readouterr().out
    assert caught.value.code in (0, None)
    assert "below 8,000" in out
    assert "25,600" in out
