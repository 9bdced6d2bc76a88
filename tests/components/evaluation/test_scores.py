"""The metrics against answers worked out by hand and by other formulas."""

import math

import numpy as np
import pytest

from components.evaluation.tasks.measures import wilson_interval
from components.evaluation.tasks.single_label import (
    Tally,
    class_scores,
    named_class_scores,
    overall_scores,
)

# Truth in rows, prediction in columns; the last class never occurs.
CONFUSION = np.array([[8, 2, 0], [1, 3, 1], [0, 0, 0]])


def tally_of(confusion: np.ndarray, confidence: float = 0.8) -> Tally:
    """A tally of predictions that all have the same confidence."""
    count = len(confusion)
    tally = Tally.empty(count)
    for label, predicted in np.ndindex(confusion.shape):
        row = np.full(count, (1 - confidence) / (count - 1), np.float32)
        row[predicted] = confidence
        for _ in range(int(confusion[label, predicted])):
            tally.add(label, row, 0)
    return tally


def test_overall_scores_of_a_confusion_worked_out_by_hand() -> None:
    scores = overall_scores(tally_of(CONFUSION))
    assert scores["accuracy"] == pytest.approx(11 / 15)
    assert scores["balanced_accuracy"] == pytest.approx((8 / 10 + 3 / 5) / 2)
    assert scores["macro_recall"] == scores["balanced_accuracy"]
    assert scores["macro_precision"] == pytest.approx((8 / 9 + 3 / 5) / 2)
    assert scores["macro_f1"] == pytest.approx((16 / 19 + 6 / 10) / 2)


def test_losses_and_calibration_of_constant_confidence() -> None:
    scores = overall_scores(tally_of(CONFUSION, confidence=0.8))
    right, wrong = 11, 4
    log_loss = -(right * math.log(0.8) + wrong * math.log(0.1)) / 15
    brier = (right * (0.2**2 + 2 * 0.1**2) + wrong * (0.8**2 + 0.9**2 + 0.1**2)) / 15
    assert scores["log_loss"] == pytest.approx(log_loss, rel=1e-5)
    assert scores["brier_score"] == pytest.approx(brier, rel=1e-5)
    assert scores["calibration_error"] == pytest.approx(abs(0.8 - 11 / 15), rel=1e-5)


def test_a_class_without_examples_has_no_scores_and_one_never_predicted_has_precision_0() -> None:
    scores = named_class_scores(tally_of(np.array([[3, 0, 0], [2, 0, 0], [0, 0, 0]])), "abc")
    assert scores["support/a"] == 3
    assert scores["precision/a"] == pytest.approx(3 / 5)
    assert (scores["precision/b"], scores["recall/b"], scores["f1/b"]) == (0, 0, 0)
    assert math.isnan(scores["precision/c"])
    assert math.isnan(scores["recall/c"])


def test_merging_gives_what_counting_together_gives() -> None:
    rng = np.random.default_rng(0)
    rows = rng.dirichlet(np.ones(4), 60).astype(np.float32)
    labels = rng.integers(0, 4, 60)
    together, parts = Tally.empty(4), [Tally.empty(4) for _ in range(3)]
    for index, (label, row) in enumerate(zip(labels, rows, strict=True)):
        together.add(label, row, 0)
        parts[index % 3].add(label, row, 0)
    merged = Tally.empty(4).merge(parts)
    assert overall_scores(merged) == pytest.approx(overall_scores(together))
    np.testing.assert_array_equal(merged.confusion, together.confusion)
    assert merged.examples == 60


def test_log_loss_and_brier_equal_vectorised_formulas_on_random_predictions() -> None:
    rng = np.random.default_rng(1)
    rows, labels = rng.dirichlet(np.ones(5), 200), rng.integers(0, 5, 200)
    tally = Tally.empty(5)
    for label, row in zip(labels, rows, strict=True):
        tally.add(label, row, 0)
    truth = np.eye(5)[labels]
    scores = overall_scores(tally)
    assert scores["log_loss"] == pytest.approx(-np.log(rows[truth == 1]).mean())
    assert scores["brier_score"] == pytest.approx(((rows - truth) ** 2).sum(axis=1).mean())
    assert scores["accuracy"] == pytest.approx((rows.argmax(axis=1) == labels).mean())


def test_an_impossible_truth_has_a_large_but_finite_loss() -> None:
    tally = Tally.empty(2)
    tally.add(1, np.array([1.0, 0.0]), 0)
    assert overall_scores(tally)["log_loss"] == pytest.approx(-math.log(1e-7))


@pytest.mark.parametrize("broken", [[np.nan, 0.5, 0.5], [np.inf, 0, 0]])
def test_a_prediction_that_is_not_finite_is_wrong_and_makes_the_losses_nan(
    broken: list[float],
) -> None:
    tally = Tally.empty(3)
    tally.add(0, np.array(broken), 0)
    tally.add(0, np.array([1.0, 0.0, 0.0]), 0)
    scores = overall_scores(tally)
    assert scores["non_finite_count"] == 1
    assert scores["accuracy"] == 0.5
    assert all(
        math.isnan(scores[name]) for name in ("log_loss", "brier_score", "calibration_error")
    )


def test_nothing_counted_is_nan_not_zero() -> None:
    scores = overall_scores(Tally.empty(3))
    assert math.isnan(scores["accuracy"])
    assert math.isnan(scores["macro_f1"])
    assert class_scores(Tally.empty(3))["support"].sum() == 0


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [
        # By the closed form with z = 1.959964: at 0 the upper bound is z^2 / (n + z^2).
        (0, 10, 0.0, 0.277533),
        (10, 10, 0.722467, 1.0),
        (5, 10, 0.236594, 0.763406),
        (81, 263, 0.255252, 0.366208),  # Newcombe, 1998, table I: 0.2553 to 0.3662
    ],
)
def test_wilson_interval(successes: int, n: int, low: float, high: float) -> None:
    assert wilson_interval(successes, n) == pytest.approx((low, high), abs=5e-5)


def test_wilson_interval_of_nothing_is_everything() -> None:
    assert wilson_interval(0, 0) == (0.0, 1.0)
