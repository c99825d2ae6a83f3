import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from jetformer_model.calibration import Reliability, expected_calibration_error
from jetformer_model.metrics import Ranking
from jetformer_model.performance import measure_performance

seeds = st.integers(0, 2**32 - 1)


def some_answers(seed: int, jets: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(jets, classes)), rng.integers(0, classes, jets)


@given(seeds, st.integers(2, 60))
def test_roc_depends_on_the_order_of_scores_alone(seed: int, jets: int) -> None:
    logits, labels = some_answers(seed, jets, 2)
    scores, signal, weights = logits[:, 0].round(1), labels == 1, np.ones(jets)
    curve, other = (Ranking(s, signal, ~signal).roc(weights) for s in (scores, 3 * scores**3 + 1))
    np.testing.assert_array_equal(curve.signal_efficiency, other.signal_efficiency)
    np.testing.assert_array_equal(curve.background_efficiency, other.background_efficiency)


@given(seeds, st.integers(2, 60))
def test_exchanging_signal_and_background_and_the_sign_of_scores_keeps_the_area(seed: int, jets: int) -> None:
    logits, labels = some_answers(seed, jets, 2)
    scores, signal, weights = logits[:, 0].round(1), labels == 1, np.ones(jets)
    areas = [
        Ranking(scores, signal, ~signal).roc(weights).auc,
        Ranking(-scores, ~signal, signal).roc(weights).auc,
    ]
    np.testing.assert_allclose(areas[0], areas[1])


@given(seeds, st.integers(1, 200), st.integers(2, 6))
def test_calibration_error_is_at_least_the_gap_of_all_jets_together(
    seed: int, jets: int, classes: int
) -> None:
    logits, labels = some_answers(seed, jets, classes)
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    error = expected_calibration_error(*Reliability(probabilities, labels).measure(np.ones(jets)))
    gap = abs((probabilities.argmax(1) == labels).mean() - probabilities.max(1).mean())
    assert gap - 1e-12 <= error <= 1


@settings(max_examples=30)
@given(seeds, st.integers(2, 80), st.integers(2, 5))
def test_order_of_jets_changes_no_number(seed: int, jets: int, classes: int) -> None:
    logits, labels = some_answers(seed, jets, classes)
    order = np.random.default_rng(seed).permutation(jets)
    names = [f"class {k}" for k in range(classes)]
    first, second = (
        measure_performance(x, y, names, resamples=0).estimates
        for x, y in ((logits, labels), (logits[order], labels[order]))
    )
    for name, found in first.items():
        np.testing.assert_allclose(found.value, second[name].value, atol=1e-12, err_msg=name)
