from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from jetformer_model import plotting
from jetformer_model.explanation import JetAttention
from jetformer_model.explanation_plots import draw_attention, draw_importance
from jetformer_model.importance import Importance


@pytest.fixture(autouse=True)
def in_style() -> Iterator[None]:
    with plotting.style():
        yield


def jet(number: int, constituents: int) -> JetAttention:
    numbers = torch.arange(1.0, constituents + 1)
    attention = 0.5 * numbers / max(1.0, float(numbers.sum()))
    return JetAttention(
        number, number, "W", "Z", 0.5, 3 * numbers, 0.1 * numbers, -0.1 * numbers, attention, 0.5
    )


def test_markers_are_constituents_with_pt_as_area_and_attention_as_colour() -> None:
    figure = draw_attention([jet(4, 3)], "a network")
    (markers,) = figure.axes[0].collections
    areas, colours, places = markers.get_sizes(), markers.get_array(), markers.get_offsets()
    assert list(areas / areas[0]) == pytest.approx([1, 2 / 3, 1 / 3])  # the largest lies below
    assert list(colours) == pytest.approx([25, 100 / 6, 50 / 6])
    assert list(places[0]) == pytest.approx([0.3, -0.3])


@pytest.mark.parametrize("constituents", ((0,), (0, 2), (3, 1, 0, 5, 4, 2, 7)))
def test_any_number_of_jets_is_drawn(constituents: tuple[int, ...], tmp_path: Path) -> None:
    figure = draw_attention([jet(number, count) for number, count in enumerate(constituents)], "a network")
    plotting.save_figures({"attention": figure}, tmp_path)
    named = [axes.get_title() for axes in figure.axes if axes.get_title()]
    assert named == ["W jet, taken for Z (50 %)"] * len(constituents)


def test_most_important_feature_is_on_top() -> None:
    figure = draw_importance(
        [Importance("a", 0.1, 0.01), Importance("b", 0.3, 0.02), Importance("c", 0, 0)], ""
    )
    axes = figure.axes[0]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["c", "a", "b"]
    assert [bar.get_width() for bar in axes.patches] == pytest.approx([0, 10, 30])
