"""The metrics of one number per image, against scikit-learn and answers worked out by hand."""

import math
from typing import Any

import numpy as np
import pytest
from sklearn import metrics

from components.evaluation.tasks import bootstrap
from components.evaluation.tasks.regression import Regression, Tally
from tests.components.evaluation.merging import interval_of, same_however_merged

FAMILY = Regression()


def numbers(count: int = 500) -> tuple[np.ndarray, np.ndarray]:
    """Truth far from 0, as of heights in metres, and answers that are 3 too high."""
    rng = np.random.default_rng(0)
    true = 2500 + rng.gamma(2.0, 20.0, count)
    return true, true + 3 + rng.standard_t(3, count) * 10


def observations(true: np.ndarray, values: np.ndarray) -> list[Any]:
    return [
        (np.array([y]), np.array([value]), 1000 + index)
        for index, (y, value) in enumerate(zip(true, values, strict=True))
    ]


def tally_of(true: np.ndarray, values: np.ndarray) -> Tally:
    tally = FAMILY.empty(1)
    for observation in observations(true, values):
        FAMILY.add(tally, *observation)
    return tally


def test_scores_are_those_of_scikit_learn() -> None:
    true, values = numbers()
    overall = FAMILY.overall(tally_of(true, values))
    assert overall["mae"] == pytest.approx(metrics.mean_absolute_error(true, values))
    assert overall["rmse"] == pytest.approx(metrics.root_mean_squared_error(true, values))
    assert overall["r2"] == pytest.approx(metrics.r2_score(true, values))
    assert overall["bias"] == pytest.approx((values - true).mean())
    assert overall["median_absolute_error"] == pytest.approx(
        metrics.median_absolute_error(true, values), rel=0.005
    )


@pytest.mark.parametrize("errors", [[0, 0, 0], [1, 2, 3, 40], [1e-6, 5, 1e9]])
def test_the_median_error_is_right_to_half_a_percent(errors: list[float]) -> None:
    tally = tally_of(np.zeros(len(errors)), np.array(errors, float))
    median = FAMILY.overall(tally)["median_absolute_error"]
    assert median == pytest.approx(np.median(errors), rel=0.005)


def test_merging_in_any_order_gives_what_counting_together_gives() -> None:
    same_however_merged(FAMILY, observations(*numbers(60)), 1)


def test_the_interval_is_about_that_of_the_normal_approximation() -> None:
    """Over 1000 examples of normal errors, the mean's deviation is 0.6 / sqrt(1000)."""
    errors = np.random.default_rng(1).normal(size=1000)
    found = interval_of(FAMILY, tally_of(np.zeros(1000), errors))
    assert found is not None
    half = 1.96 * np.abs(errors).std() / math.sqrt(1000)
    middle = np.abs(errors).mean()
    np.testing.assert_allclose(found, (middle - half, middle + half), atol=0.25 * half)


def test_few_examples_have_no_interval() -> None:
    true, values = numbers(bootstrap.FEWEST_UNITS - 1)
    assert interval_of(FAMILY, tally_of(true, values)) is None


def test_equal_truths_explain_nothing() -> None:
    overall = FAMILY.overall(tally_of(np.full(20, 0.1), np.arange(20.0)))
    assert math.isnan(overall["r2"])


def test_a_value_that_is_not_finite_makes_the_scores_nan() -> None:
    true, values = numbers(20)
    values[3] = np.inf
    tally = tally_of(true, values)
    overall = FAMILY.overall(tally)
    assert overall["non_finite_count"] == 1
    assert all(math.isnan(overall[name]) for name in ("mae", "rmse", "bias", "r2"))
    assert interval_of(FAMILY, tally) is None


def test_examples_without_truth_count_in_no_metric() -> None:
    tally = tally_of(*numbers(20))
    before = FAMILY.overall(tally)
    FAMILY.add(tally, np.zeros(0), np.array([1.0]), 7)
    assert tally.examples == 21
    assert FAMILY.overall(tally) == {**before, "examples_without_truth": 1}
