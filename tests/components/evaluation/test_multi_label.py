"""The metrics of several classes per image, against scikit-learn and answers worked out by hand."""

import math
from typing import Any

import numpy as np
import pytest
from sklearn import metrics

from components.evaluation.tasks.multi_label import MultiLabel, Tally, average_precisions
from tests.components.evaluation.merging import same_however_merged

FAMILY = MultiLabel()
K = 5  # and the unknown class


def predictions(count: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """Truth and probabilities [N, K]: some classes rare, some well told apart."""
    rng = np.random.default_rng(0)
    true = rng.random((count, K)) < (0.5, 0.3, 0.1, 0.05, 0.4)
    logits = rng.normal(size=(count, K)) + true * (0.5, 1, 2, 3, 5)
    return true, 1 / (1 + np.exp(1 - logits))


def observations(true: np.ndarray, probabilities: np.ndarray) -> list[Any]:
    """Evaluates them, with an unknown class that no example has."""
    nowhere = np.zeros((len(true), 1))
    truth = np.hstack([true, nowhere]).astype(bool)
    found = np.stack(
        [np.hstack([probabilities, nowhere]), np.hstack([probabilities >= 0.5, nowhere])], axis=1
    )
    return list(zip(truth, found, range(len(truth)), strict=True))


def tally_of(true: np.ndarray, probabilities: np.ndarray) -> Tally:
    tally = FAMILY.empty(K + 1)
    for observation in observations(true, probabilities):
        FAMILY.add(tally, *observation)
    return tally


def test_scores_are_those_of_scikit_learn() -> None:
    true, probabilities = predictions()
    found = probabilities >= 0.5
    overall = FAMILY.overall(tally_of(true, probabilities))
    assert overall["exact_match"] == pytest.approx(metrics.accuracy_score(true, found))
    assert overall["hamming_loss"] == pytest.approx(metrics.hamming_loss(true, found))
    for average in ("macro", "micro"):
        expected = metrics.precision_recall_fscore_support(
            true, found, average=average, zero_division=0
        )
        for name, value in zip(("precision", "recall", "f1"), expected, strict=False):
            assert overall[f"{average}_{name}"] == pytest.approx(value), (average, name)
    assert overall["log_loss"] == pytest.approx(
        np.mean([metrics.log_loss(true[:, k], probabilities[:, k]) for k in range(K)])
    )


def test_class_scores_are_those_of_scikit_learn() -> None:
    true, probabilities = predictions()
    per_class = FAMILY.per_class(tally_of(true, probabilities))
    expected = metrics.precision_recall_fscore_support(
        true, probabilities >= 0.5, average=None, zero_division=0
    )
    for name, values in zip(("precision", "recall", "f1", "support"), expected, strict=True):
        np.testing.assert_allclose(per_class[name][:K], values)
        assert name == "support" or math.isnan(per_class[name][K])
    precisions = metrics.average_precision_score(true, probabilities, average=None)
    np.testing.assert_allclose(per_class["average_precision"][:K], precisions, atol=0.004)


def test_average_precision_is_exact_where_no_two_scores_share_a_bin() -> None:
    true, _ = predictions(60)
    scores = 1 / (1 + np.exp(np.random.default_rng(1).permuted(np.linspace(-6, 6, 60 * K))))
    scores = scores.reshape(60, K)
    np.testing.assert_allclose(
        average_precisions(tally_of(true, scores))[:K],
        metrics.average_precision_score(true, scores, average=None),
    )


def test_the_calibration_error_worked_out_by_hand() -> None:
    """Of ten decisions at 0.9 seven are true, of ten at 0.2 none."""
    true = np.zeros((4, K), bool)
    probabilities = np.full((4, K), 0.2)
    probabilities[:2] = 0.9
    true[0], true[1, :2] = True, True
    overall = FAMILY.overall(tally_of(true, probabilities))
    assert overall["calibration_error"] == pytest.approx((10 * 0.2 + 10 * 0.2) / 20)


def test_merging_in_any_order_gives_what_counting_together_gives() -> None:
    same_however_merged(FAMILY, observations(*predictions(90)), K + 1)


def test_labels_that_no_model_knows_are_never_found() -> None:
    tally = FAMILY.empty(3)
    FAMILY.add(tally, np.array([True, False, True]), np.array([[0.9, 0.1, 0], [1, 0, 0]]), 0)
    assert FAMILY.overall(tally)["exact_match"] == 0
    assert FAMILY.per_class(tally)["support"].tolist() == [1, 0, 1]


def test_what_is_not_finite_is_wrong_and_makes_the_losses_nan() -> None:
    tally = FAMILY.empty(3)
    FAMILY.add(tally, np.zeros(3, bool), np.array([[np.nan, 0.1, 0], [1, 0, 0]]), 0)
    FAMILY.add(tally, np.array([True, False, False]), np.array([[0.9, 0.1, 0], [1, 0, 0]]), 0)
    overall = FAMILY.overall(tally)
    assert overall["non_finite_count"] == 1
    assert overall["exact_match"] == 0.5
    for name in ("log_loss", "calibration_error", "mean_average_precision"):
        assert math.isnan(overall[name]), name


def test_examples_without_truth_count_in_no_metric() -> None:
    true, probabilities = predictions(20)
    tally = tally_of(true, probabilities)
    before = FAMILY.overall(tally)
    FAMILY.add(tally, np.zeros(0, bool), np.zeros((2, K + 1)), 0)
    assert tally.examples == 21
    assert FAMILY.overall(tally) == {**before, "examples_without_truth": 1}


def test_nothing_counted_is_nan_not_zero() -> None:
    overall = FAMILY.overall(FAMILY.empty(3))
    assert all(math.isnan(overall[name]) for name in FAMILY.overall_metrics[:-1])


def test_the_interval_is_wilson_s_of_the_exact_match() -> None:
    measured = {"exact_match": 0.5, "example_count": 12.0, "examples_without_truth": 2.0}
    assert FAMILY.interval(measured) == pytest.approx((0.236594, 0.763406), abs=1e-6)
