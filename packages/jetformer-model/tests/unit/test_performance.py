"""Every number against scikit-learn or a plain loop; every interval against what is known of its width."""

import json

import numpy as np
import pytest
from sklearn import metrics as oracle

from jetformer_model.bootstrap import estimate
from jetformer_model.calibration import Reliability, expected_calibration_error
from jetformer_model.errors import ModelError
from jetformer_model.jet_axes import JetAxis
from jetformer_model.metrics import Ranking, roc, softmax
from jetformer_model.performance import measure_performance
from jetformer_model.working_points import working_points

JETS, CLASSES = 997, 5
NAMES = ("QCD", "Hbb", "Hqql", "Tbl", "Wqq")
RNG = np.random.default_rng(11)
LABELS = RNG.integers(0, CLASSES, JETS)
LOGITS = RNG.normal(size=(JETS, CLASSES)) + 1.5 * np.eye(CLASSES)[LABELS]
WEIGHTS = RNG.integers(0, 4, JETS).astype(np.float64)
AXIS = JetAxis("jet_pt", "Jet pt", "GeV", RNG.uniform(500, 1000, JETS), np.array([500.0, 600, 750, 1000]))


@pytest.mark.parametrize("decimals", (9, 1))
def test_weighted_roc_agrees_with_scikit_learn(decimals: int) -> None:
    scores, signal = softmax(LOGITS)[:, 2].round(decimals), LABELS == 2
    curve = Ranking(scores, signal, ~signal).roc(WEIGHTS)
    auc = oracle.roc_auc_score(signal, scores, sample_weight=WEIGHTS)
    assert curve.auc == pytest.approx(auc, abs=1e-12)
    # scikit-learn leaves out the thresholds that only jets of weight 0 pass
    background, efficiency, _ = oracle.roc_curve(
        signal, scores, sample_weight=WEIGHTS, drop_intermediate=False
    )
    found = {
        (round(b, 9), round(s, 9))
        for b, s in zip(curve.background_efficiency, curve.signal_efficiency, strict=True)
    }
    assert found == {(round(b, 9), round(s, 9)) for b, s in zip(background, efficiency, strict=True)}


def test_weights_are_jets_that_occur_so_often() -> None:
    scores, signal, times = LOGITS[:, 1], LABELS == 1, WEIGHTS.astype(int)
    repeated = roc(np.repeat(scores, times), np.repeat(signal, times))
    weighted = Ranking(scores, signal, ~signal).roc(WEIGHTS)
    assert weighted.auc == pytest.approx(repeated.auc, abs=1e-12)
    for efficiency in (0.3, 0.5, 0.99):
        assert weighted.rejection(efficiency) == pytest.approx(repeated.rejection(efficiency))


def test_numbers_agree_with_scikit_learn() -> None:
    found = measure_performance(LOGITS, LABELS, NAMES, resamples=0)
    value = {name: estimate.value for name, estimate in found.estimates.items()}
    probabilities, taken = softmax(LOGITS), LOGITS.argmax(1)
    assert value["accuracy"] == pytest.approx(oracle.accuracy_score(LABELS, taken))
    assert value["loss"] == pytest.approx(oracle.log_loss(LABELS, probabilities))
    one_hot = np.eye(CLASSES)[LABELS]
    np.testing.assert_allclose(value["auc"], oracle.roc_auc_score(one_hot, probabilities, average=None))
    assert value["auc_macro"] == pytest.approx(oracle.roc_auc_score(LABELS, probabilities, multi_class="ovr"))
    np.testing.assert_allclose(value["confusion"], oracle.confusion_matrix(LABELS, taken, normalize="true"))


def test_rejection_at_the_working_points_of_jetclass() -> None:
    """Of the signal and QCD alone, by p_S / (p_S + p_QCD)."""
    found = measure_performance(LOGITS, LABELS, NAMES, resamples=0)
    probabilities = softmax(LOGITS)
    wanted = []
    for k, signal_efficiency in ((1, 0.5), (2, 0.99), (3, 0.995), (4, 0.5)):
        chosen = (k == LABELS) | (LABELS == 0)
        score = probabilities[chosen, k] / (probabilities[chosen, k] + probabilities[chosen, 0])
        background, efficiency, _ = oracle.roc_curve(LABELS[chosen] == k, score, drop_intermediate=False)
        wanted.append(1 / np.interp(signal_efficiency, efficiency, background))
    np.testing.assert_allclose(found.estimates["rejection_at_working_point"].value, wanted)


def test_working_points_without_qcd_are_against_the_rest_and_with_many_against_all_of_it() -> None:
    points = working_points(("g", "q", "t"))
    assert [(p.backgrounds, p.against, p.signal_efficiency) for p in points] == [
        ((1, 2), "rest", 0.5),
        ((0, 2), "rest", 0.5),
        ((0, 1), "rest", 0.5),
    ]
    several = working_points(("QCD_b", "X_bb", "QCD_light"))
    assert [(p.name, p.signal, p.backgrounds, p.against) for p in several] == [("X_bb", 1, (0, 2), "QCD")]


def test_calibration_error_agrees_with_a_plain_loop() -> None:
    probabilities = softmax(LOGITS)
    error = 0.0
    for low, high in zip(np.arange(15) / 15, np.arange(1, 16) / 15, strict=True):
        inside = [j for j in range(JETS) if low < max(probabilities[j]) <= high]
        weight = sum(WEIGHTS[j] for j in inside)
        if weight:
            right = sum(WEIGHTS[j] * (np.argmax(probabilities[j]) == LABELS[j]) for j in inside) / weight
            confidence = sum(WEIGHTS[j] * max(probabilities[j]) for j in inside) / weight
            error += weight * abs(right - confidence)
    found = expected_calibration_error(*Reliability(probabilities, LABELS).measure(WEIGHTS))
    assert found == pytest.approx(error / WEIGHTS.sum())


def test_confidence_on_an_edge_belongs_to_the_bin_below_it() -> None:
    share, _, _ = Reliability(np.array([[0.5, 0.5], [0.51, 0.49]]), np.array([0, 0]), bins=2).measure(
        np.ones(2)
    )
    np.testing.assert_array_equal(share, [0.5, 0.5])


def test_accuracy_in_bins_agrees_with_a_plain_loop() -> None:
    found = measure_performance(LOGITS, LABELS, NAMES, [AXIS], resamples=0)
    right = LOGITS.argmax(1) == LABELS
    wanted = [
        right[(AXIS.values >= low) & (AXIS.values < high)].mean()
        for low, high in zip(AXIS.edges, AXIS.edges[1:], strict=False)
    ]
    np.testing.assert_allclose(found.estimates["accuracy_in_jet_pt"].value, wanted)


def test_interval_of_a_share_is_binomial_on_both_sides() -> None:
    right = LOGITS.argmax(1) == LABELS
    share = estimate(lambda weights: {"share": np.average(right, weights=weights)}, JETS, 4000, seed=2)[
        "share"
    ]
    binomial = np.sqrt(share.value * (1 - share.value) / JETS)
    assert share.value - share.low == pytest.approx(binomial, rel=0.1)
    assert share.high - share.value == pytest.approx(binomial, rel=0.1)


def test_intervals_cover_the_truth_as_often_as_they_say() -> None:
    """The mean of 50 numbers of mean 0, 300 times over."""
    rng, covered = np.random.default_rng(3), 0
    for repeat in range(300):
        numbers = rng.normal(size=50)
        mean = estimate(lambda w, x=numbers: {"mean": np.average(x, weights=w)}, 50, 60, repeat)["mean"]
        covered += int(mean.low < 0 < mean.high)
    assert covered / 300 == pytest.approx(0.68, abs=0.08)


def test_interval_of_the_calibration_error_lies_around_it_although_noise_raises_it() -> None:
    """A tagger of two classes that is right as often as it says."""
    rng = np.random.default_rng(5)
    chance = rng.uniform(0.01, 0.99, JETS)
    logits = np.stack([np.zeros(JETS), np.log(chance / (1 - chance))], axis=1)
    labels = (rng.uniform(size=JETS) < chance).astype(np.int64)
    error = measure_performance(logits, labels, "ab").estimates["expected_calibration_error"]
    assert error.low < error.value < error.high


def test_same_seed_same_intervals() -> None:
    first, again, other = (
        measure_performance(LOGITS, LABELS, NAMES, [AXIS], resamples=5, seed=seed).as_dict()
        for seed in (1, 1, 2)
    )
    assert first == again
    assert first["intervals"] != other["intervals"]


def test_what_is_undefined_or_infinite_is_none_in_json() -> None:
    """No jet of class b; no background jet passes for a and c."""
    logits = np.array([[5.0, 0, 0]] * 3 + [[0, 0, 5.0]] * 3)
    labels = np.array([0, 0, 0, 2, 2, 2])
    found = measure_performance(logits, labels, "abc", resamples=3).as_dict()
    json.dumps(found, allow_nan=False)
    assert found["auc"] == {"a": 1.0, "b": None, "c": 1.0}
    assert found["auc_macro"] is None
    assert found["rejection_at_working_point"] == {"a": None, "b": None, "c": None}
    assert found["confusion"] == [[1.0, 0.0, 0.0], [None] * 3, [0.0, 0.0, 1.0]]
    assert found["intervals"]["confusion"][1] == [[None, None]] * 3


def test_without_resamples_there_are_no_intervals() -> None:
    assert "intervals" not in measure_performance(LOGITS, LABELS, NAMES, resamples=0).as_dict()


def test_answers_that_are_no_numbers_are_refused() -> None:
    logits = LOGITS.copy()
    logits[3, 1] = np.nan
    with pytest.raises(ModelError, match="for 1 of 997 jets"):
        measure_performance(logits, LABELS, NAMES)
