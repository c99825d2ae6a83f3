import numpy as np
import pytest

from jetformer_hpo.errors import SearchError
from jetformer_hpo.hypervolume import Scale, growth, hypervolume


def test_area_of_a_staircase_by_hand():
    # 0.2 x 0.9, then 0.3 more at 0.5, then 0.2 more at 0.1
    assert hypervolume([(0.5, 0.5), (0.2, 0.9), (0.7, 0.1)]) == pytest.approx(0.18 + 0.15 + 0.02)


def test_dominated_points_and_repetitions_add_nothing():
    front = [(0.5, 0.5), (0.2, 0.9)]
    assert hypervolume([*front, (0.4, 0.4), (0.5, 0.5), (0.5, 0.1)]) == pytest.approx(hypervolume(front))


def test_nothing_has_no_area():
    assert hypervolume([]) == 0
    assert hypervolume([(0, 1), (1, 0)]) == 0


def test_growth_counts_points_in_the_order_of_their_trials():
    assert growth([(0.2, 0.5), (0.5, 0.2), (0.1, 0.1), (1, 1)]).tolist() == pytest.approx(
        [0.1, 0.16, 0.16, 1]
    )


def test_a_linear_scale():
    assert Scale(worst=0.5, best=0.75)([0.5, 0.55, 0.75, 0.4, 0.9]) == pytest.approx([0, 0.2, 1, 0, 1])


def test_a_logarithmic_scale_of_costs():
    assert Scale(worst=1e6, best=1e4, logarithmic=True)([1e6, 1e5, 1e4]) == pytest.approx([0, 0.5, 1])


def test_a_scale_without_extent():
    with pytest.raises(SearchError, match="worst and the best value are the same, 3"):
        Scale(3, 3)


def test_a_logarithmic_scale_from_nothing():
    with pytest.raises(SearchError, match="positive ends, got 5 and 0"):
        Scale(5, 0, logarithmic=True)


def test_paper_like_front_against_monte_carlo():
    rng = np.random.default_rng(7)
    front = rng.random((11, 2)) ** 2
    darts = rng.random((200_000, 2))
    below = (darts[:, None, :] <= front[None]).all(axis=2).any(axis=1)
    error = np.sqrt(below.mean() * (1 - below.mean()) / len(darts))
    assert hypervolume(front) == pytest.approx(below.mean(), abs=5 * error)
