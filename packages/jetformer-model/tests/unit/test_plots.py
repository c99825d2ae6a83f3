"""What figures hold, and that they become files; how they look is for people to judge."""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from jetformer_model import plotting
from jetformer_model.errors import ModelError
from jetformer_model.jet_axes import JetAxis
from jetformer_model.performance import Performance, measure_performance
from jetformer_model.plots import draw_accuracy, draw_confusion, draw_performance, draw_reliability, draw_roc

JETS = 301


def performance(classes: int = 3, resamples: int = 3) -> Performance:
    rng = np.random.default_rng(2)
    labels = rng.integers(0, classes, JETS)
    logits = rng.normal(size=(JETS, classes)) + np.eye(classes)[labels]
    axis = JetAxis("jet_pt", "Jet pt", "GeV", rng.uniform(500, 1000, JETS), np.array([500.0, 600, 800, 1000]))
    names = ["QCD", *(f"signal {k}" for k in range(1, classes))]
    return measure_performance(logits, labels, names, [axis], resamples=resamples)


@pytest.fixture(autouse=True)
def in_style() -> Iterator[None]:
    with plotting.style():
        yield


@pytest.mark.parametrize("resamples", (0, 3))
def test_every_picture_becomes_a_png_and_a_pdf(resamples: int, tmp_path: Path) -> None:
    figures = dict(draw_performance(performance(resamples=resamples), "a tagger"))
    written = plotting.save_figures(figures, tmp_path / "new")
    assert {path.name for path in written} == {
        f"{name}.{suffix}"
        for name in ("roc", "confusion", "reliability", "accuracy_in_jet_pt")
        for suffix in ("png", "pdf")
    }
    assert all(path.stat().st_size > 3000 for path in written)


def test_roc_marks_the_working_points_on_their_curves() -> None:
    found = performance()
    (axes,) = draw_roc(found, "").axes
    *marked, _ = axes.lines  # the last is for the legend
    curves, dots = marked[::2], marked[1::2]
    rejections = found.estimates["rejection_at_working_point"].value
    for curve, dot, rejection in zip(curves, dots, rejections, strict=True):
        assert dot.get_ydata() == pytest.approx(1 / rejection)
        assert np.interp(0.5, *curve.get_data()) == pytest.approx(1 / rejection)
    assert axes.get_ylabel() == "QCD efficiency"


def test_roc_shows_so_many_classes_as_can_be_told_apart() -> None:
    (axes,) = draw_roc(performance(classes=14), "a tagger").axes
    legend = axes.get_legend()
    assert len(legend.get_texts()) == 10 + 1  # and the dots
    assert legend.get_title().get_text() == "a tagger (3 classes left out)"


def test_confusion_matrix_has_true_classes_in_rows() -> None:
    found = performance()
    axes = draw_confusion(found, "").axes[0]
    shown = {(text.get_position()): text.get_text() for text in axes.texts}
    assert shown[(2, 0)] == f"{100 * found.estimates['confusion'].value[0, 2]:.1f}"


def test_error_bars_are_the_intervals() -> None:
    found = performance()
    for figure, name in (
        (draw_accuracy(found, found.axes[0], ""), "accuracy_in_jet_pt"),
        (draw_reliability(found, ""), "reliability_accuracy"),
    ):
        estimate = found.estimates[name]
        segments = figure.axes[0].collections[-1].get_segments()
        low, high = np.array([segment[:, 1] for segment in segments if np.shape(segment) == (2, 2)]).T
        is_filled = np.isfinite(estimate.value)
        np.testing.assert_allclose(low, estimate.low[is_filled])
        np.testing.assert_allclose(high, estimate.high[is_filled])


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelError, match="cannot be used as a folder for plots"):
        plotting.save_figures({}, tmp_path / "file")


def test_missing_extra_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mplhep", None)
    with pytest.raises(ModelError, match=r"pip install 'jetformer-model\[plot\]'"):
        plotting.require_plots()
