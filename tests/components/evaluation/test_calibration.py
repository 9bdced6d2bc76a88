"""Calibration error and its part due to chance, against a simulation."""

import numpy as np
import pytest

from components.evaluation.tasks.calibration import (
    calibration_error,
    calibration_row,
    calibration_scores,
    chance_error,
    reliability,
)


def of_classifier(count: int) -> np.ndarray:
    """Confidences of a good classifier: most near 1, some doubtful."""
    return 0.4 + 0.6 * np.random.default_rng(0).beta(4, 1, count)


@pytest.mark.parametrize("count", [20, 288, 5000])
def test_the_error_by_chance_is_the_mean_over_simulated_labels(count: int) -> None:
    confidence, rng = of_classifier(count), np.random.default_rng(1)
    errors = [
        calibration_error(calibration_row(confidence, rng.random(count) < confidence))
        for _ in range(2000)
    ]
    bins = calibration_row(confidence, np.zeros(count, bool))
    assert chance_error(bins) == pytest.approx(np.mean(errors), rel=0.03)


def test_a_calibrated_model_has_no_excess_and_an_overconfident_one_has_its_error() -> None:
    confidence, rng = of_classifier(4000), np.random.default_rng(2)
    calibrated = calibration_row(confidence, rng.random(4000) < confidence)
    assert abs(calibration_scores(calibrated, 0)["calibration_excess"]) < 0.01
    overconfident = calibration_row(confidence, rng.random(4000) < confidence - 0.2)
    assert calibration_scores(overconfident, 0)["calibration_excess"] == pytest.approx(
        0.2, abs=0.02
    )
    assert np.isnan(calibration_scores(calibrated, 1)["calibration_excess"])


def test_sure_answers_leave_nothing_to_chance_and_the_table_has_only_bins_with_examples() -> None:
    bins = calibration_row(np.array([1.0, 1.0, 0.5]), np.array([True, False, True]))
    assert chance_error(bins[:, -1:]) == 0
    first, last = reliability(bins)
    assert (first.low, first.count, first.confidence, first.accuracy) == (7 / 15, 1, 0.5, 1)
    assert (last.high, last.count, last.confidence, last.accuracy) == (1, 2, 1, 0.5)
