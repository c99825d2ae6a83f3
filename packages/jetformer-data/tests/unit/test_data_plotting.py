"""Pictures: which panels there are, and that what is drawn is what was counted."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from jetformer_data import plotting, schema
from jetformer_data.cli import app
from jetformer_data.distributions import Distributions, compare
from jetformer_data.errors import DataError
from jetformer_data.histograms import ratio
from jetformer_data.looking.pairs import Pair
from jetformer_data.testing import example_jets

pytest.importorskip("mplhep", reason="needs the extra 'plot'")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two files of the same five classes; the jets of the second are wider."""
    folder = tmp_path_factory.mktemp("plotting")
    schema.write(folder / "a.h5", example_jets(300, seed=1))
    jets = example_jets(200, seed=2)
    wider = jets.constituents * np.array([1, 1.2, 1.2], np.float32)
    schema.write(folder / "b.h5", replace(jets, constituents=wider))
    return folder / "a.h5", folder / "b.h5"


@pytest.fixture(scope="module")
def seen(files: tuple[Path, Path]) -> list[Distributions]:
    return compare(files)


def test_one_file_overlays_its_classes(seen: list[Distributions]) -> None:
    with plotting.style():
        figures = dict(plotting.draw(seen[0], "made up", [0, 2, 4]))
        assert list(figures) == [*seen[0].histograms, "features", "jet_images"]
        (axes,) = figures["jet_mass"].axes
        assert axes.get_xlabel() == "Jet mass [GeV]"
        assert "GeV" in axes.get_ylabel()
        drawn = [patch.get_data() for patch in axes.patches]
        assert len(drawn) == 3
        histogram = seen[0].histograms["jet_mass"]
        for (values, edges, _), k in zip(drawn, (0, 2, 4), strict=True):
            np.testing.assert_array_equal(values, histogram.density()[k])
            np.testing.assert_array_equal(edges, histogram.edges)
        (legend,) = figures["jet_mass"].legends
        assert [text.get_text() for text in legend.get_texts()] == ["g", "W", "t"]
        assert legend.get_title().get_text() == "made up"
        assert len({patch.get_edgecolor() for patch in axes.patches}) == 3


def test_features_have_an_axis_each(seen: list[Distributions]) -> None:
    with plotting.style():
        figures = dict(plotting.draw(seen[0], "made up", [0, 1]))
        axes = figures["features"].axes
        assert [a.get_xlabel() for a in axes] == ["pt [GeV]", "etarel", "phirel [rad]"]
        assert axes[0].get_yscale() == "log"  # a steeply falling spectrum
        assert axes[1].get_yscale() == "linear"


def test_images_show_the_mean_momentum(seen: list[Distributions]) -> None:
    with plotting.style():
        figure = dict(plotting.draw(seen[0], "made up", range(5)))["jet_images"]
        images = [a.collections[0].get_array() for a in figure.axes[:5]]
        for drawn, image in zip(images, seen[0].images, strict=True):
            np.testing.assert_array_equal(np.asarray(drawn).reshape(50, 50), np.maximum(image, 1e-3).T)
        assert [a.get_title() for a in figure.axes[:5]] == ["g", "q", "W", "Z", "t"]


def test_two_files_have_a_ratio_panel_for_each_class(seen: list[Distributions]) -> None:
    pair = Pair(seen[0], seen[1], ("A", "B"), (("W", 2, 2), ("t", 4, 4)))
    with plotting.style():
        figures = dict(plotting.draw_pair(pair))
        assert list(figures) == [*seen[0].histograms, "features_W", "features_t", "jet_images"]
        upper, lower = figures["jet_mass"].axes[::2], figures["jet_mass"].axes[1::2]
        assert [a.get_title() for a in upper] == ["W", "t"]
        for above, below, label in zip(upper, lower, (2, 4), strict=True):
            first, second = seen[0].histograms["jet_mass"], seen[1].histograms["jet_mass"]
            np.testing.assert_array_equal(above.patches[0].get_data().values, first.density()[label])
            points = above.containers[0].lines[0].get_ydata()
            shares = second.density()[label]
            np.testing.assert_array_equal(points, np.where(shares > 0, shares, np.nan))
            value, _ = ratio(second, first, label, label)
            np.testing.assert_array_equal(below.containers[0].lines[0].get_ydata(), value)
            assert below.get_xlabel() == "Jet mass [GeV]"
        assert [t.get_text() for t in figures["jet_mass"].legends[0].get_texts()] == ["A", "B"]
        assert len(figures["features_W"].axes) == 2 * len(seen[0].features)


def test_error_bars_of_a_ratio_are_the_second_files(seen: list[Distributions]) -> None:
    pair = Pair(seen[0], seen[1], ("A", "B"), (("g", 0, 0),))
    with plotting.style():
        below = dict(plotting.draw_pair(pair))["multiplicity"].axes[1]
        first, second = seen[0].histograms["multiplicity"], seen[1].histograms["multiplicity"]
        (bars,) = below.containers[0].lines[2]
        lengths = np.array(
            [segment[1, 1] - segment[0, 1] if len(segment) else 0 for segment in bars.get_segments()]
        )
        filled = (first.density()[0] > 0) & (second.density()[0] > 0)
        expected = 2 * second.error()[0][filled] / first.density()[0][filled]
        np.testing.assert_allclose(lengths[filled], expected)
        # the band around 1 is the error of the first
        (band,) = below.collections[:1]
        corners = band.get_paths()[0].vertices
        share, error = first.density()[0], first.error()[0]
        widest = np.argmax(np.where(share > 0, error / np.maximum(share, 1e-9), 0))
        assert corners[:, 1].max() == pytest.approx(1 + error[widest] / share[widest])
        assert corners[:, 1].min() == pytest.approx(1 - error[widest] / share[widest])


def test_images_of_two_files_have_a_row_with_their_ratio(seen: list[Distributions]) -> None:
    pair = Pair(seen[0], seen[0], ("A", "A again"), (("g", 0, 0), ("q", 1, 1)))
    with plotting.style():
        figure = dict(plotting.draw_pair(pair))["jet_images"]
        drawn = [
            np.ma.filled(np.ma.asarray(a.collections[0].get_array()).astype(float), np.nan)
            for a in figure.axes[4:6]
        ]
        assert all(
            np.isfinite(d).any() and np.isnan(d).any() for d in drawn
        )  # grey where there are few constituents
        assert all(np.nanmin(d) == np.nanmax(d) == 1 for d in drawn)


def test_files_are_written_in_the_format_asked_for(files: tuple[Path, Path], tmp_path: Path) -> None:
    written = plotting.plot(
        files[0], tmp_path / "new" / "plots", features=None, jets=50, picture_format="pdf"
    )
    assert {path.name for path in written} == {
        "jet_mass.pdf",
        "jet_pt.pdf",
        "multiplicity.pdf",
        "leading_delta_r.pdf",
        "jet_images.pdf",
    }
    assert all(path.read_bytes().startswith(b"%PDF") for path in written)


def test_command_overlays_and_selects(files: tuple[Path, Path], tmp_path: Path) -> None:
    options = ["--out", str(tmp_path), "--label", "A", "--label", "B", "--classes", "W,t=Z", "--json"]
    result = CliRunner().invoke(app, ["plot", *map(str, files), *options])
    assert result.exit_code == 0, result.stderr
    names = [Path(name).name for name in json.loads(result.stdout)]
    assert "features_W.png" in names
    assert "features_t_Z.png" in names
    assert len(names) == len(set(names)) == 7
    assert all((tmp_path / name).read_bytes().startswith(b"\x89PNG") for name in names)


@pytest.mark.parametrize(
    ("options", "reason"),
    (
        (["--classes", "b"], "class 'b'"),
        (["--features", "hls4ml-4"], "features 'hls4ml-4'"),
        (["--format", "bmp"], "format 'bmp'"),
        (["--label", "A", "--label", "B", "--label", "C"], "label 'C'"),
    ),
)
def test_wrong_options_are_one_sentence(
    files: tuple[Path, Path], tmp_path: Path, options: list[str], reason: str
) -> None:
    result = CliRunner().invoke(app, ["plot", *map(str, files), "--out", str(tmp_path / "new"), *options])
    assert result.exit_code == 1
    assert reason in result.stderr
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "new").exists()


def test_files_without_a_common_class_are_refused(files: tuple[Path, Path], tmp_path: Path) -> None:
    jets = example_jets(50, seed=3)
    schema.write(tmp_path / "c.h5", replace(jets, class_names=("1", "2", "3", "4", "5")))
    with pytest.raises(DataError, match="--classes A=B"):
        plotting.plot(files[0], tmp_path / "plots", tmp_path / "c.h5", features=None)
