import numpy as np
import pytest
from sklearn import metrics as oracle

from jetformer_model.metrics import roc, softmax, summarise

RNG = np.random.default_rng(7)
LABELS = RNG.integers(0, 3, 997)
LOGITS = RNG.normal(size=(997, 3)) + 1.5 * np.eye(3)[LABELS]


@pytest.mark.parametrize("decimals", (9, 1))
def test_roc_agrees_with_scikit_learn_also_where_scores_tie(decimals: int) -> None:
    scores, signal = softmax(LOGITS)[:, 1].round(decimals), LABELS == 1
    curve = roc(scores, signal)
    background, efficiency, _ = oracle.roc_curve(signal, scores, drop_intermediate=False)
    np.testing.assert_allclose(curve.background_efficiency, background)
    np.testing.assert_allclose(curve.signal_efficiency, efficiency)
    assert curve.auc == pytest.approx(oracle.roc_auc_score(signal, scores))


def test_summary_agrees_with_scikit_learn() -> None:
    summary = summarise(LOGITS, LABELS, ["a", "b", "c"])
    probabilities = softmax(LOGITS)
    assert summary["accuracy"] == pytest.approx(oracle.accuracy_score(LABELS, LOGITS.argmax(1)))
    assert summary["loss"] == pytest.approx(oracle.log_loss(LABELS, probabilities))
    assert summary["auc_macro"] == pytest.approx(
        oracle.roc_auc_score(LABELS, probabilities, multi_class="ovr")
    )


def test_rejection_by_hand() -> None:
    """At half the signal, 1 of 4 background jets passes."""
    scores = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4])
    signal = np.array([True, False, True, False, False, False])
    assert roc(scores, signal).rejection(0.75) == pytest.approx(4.0)


def test_perfect_separation_has_no_finite_rejection() -> None:
    logits = np.array([[5.0, 0.0]] * 3 + [[0.0, 5.0]] * 3)
    assert summarise(logits, np.array([0, 0, 0, 1, 1, 1]), ["a", "b"])["rejection"] == {"a": None, "b": None}
