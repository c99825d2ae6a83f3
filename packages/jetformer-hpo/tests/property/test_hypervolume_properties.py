import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna._hypervolume import compute_hypervolume

from jetformer_hpo.hypervolume import Scale, growth, hypervolume

# a coarse grid among them, so that ties in one coordinate are common
coordinates = st.one_of(st.floats(0, 1, width=32), st.integers(0, 4).map(lambda n: n / 4))
points = st.lists(st.tuples(coordinates, coordinates), min_size=1, max_size=23)


@given(points)
def test_agrees_with_optuna(goodness):
    losses = 1 - np.array(goodness, dtype=np.float64)
    assert hypervolume(goodness) == pytest.approx(compute_hypervolume(losses, np.ones(2)), abs=1e-12)


@given(points)
def test_growth_is_the_hypervolume_of_each_beginning(goodness):
    expected = [hypervolume(goodness[:n]) for n in range(1, len(goodness) + 1)]
    assert growth(goodness) == pytest.approx(expected, abs=1e-12)
    assert (np.diff(growth(goodness)) >= -1e-12).all()


@given(points, st.randoms(use_true_random=False))
def test_neither_order_nor_the_names_of_the_objectives_matter(goodness, random):
    shuffled = random.sample(goodness, len(goodness))
    assert hypervolume(shuffled) == pytest.approx(hypervolume(goodness), abs=1e-12)
    assert hypervolume([(b, a) for a, b in goodness]) == pytest.approx(hypervolume(goodness), abs=1e-12)


@given(st.floats(1, 1e3), st.floats(1e3 + 1, 1e9), st.floats(1e-2, 1e10), st.booleans())
def test_a_scale_turned_round_is_its_complement(low, high, value, logarithmic):
    forth, back = Scale(low, high, logarithmic), Scale(high, low, logarithmic)
    assert forth(value) + back(value) == pytest.approx(1)
    assert 0 <= forth(value) <= 1
