"""The divergences that TFDV measures, against the definition."""

from typing import Any

import numpy as np
import pytest

from components.data_check.divergence import Comparison, divergences

EITHER = pytest.mark.parametrize("comparison", ["drift", "skew"])


def jensen_shannon(p: Any, q: Any) -> float:
    """In bits, from the definition (Lin 1991): the mean divergence from the middle."""
    p, q = np.asarray(p, float) / np.sum(p), np.asarray(q, float) / np.sum(q)
    middle = (p + q) / 2

    def kullback_leibler(a: Any) -> float:
        held = a > 0
        return float(np.sum(a[held] * np.log2(a[held] / middle[held])))

    return (kullback_leibler(p) + kullback_leibler(q)) / 2


def text(**counts: int) -> list[dict[str, Any]]:
    return [{"x": value} for value, count in counts.items() for _ in range(count)]


def numbers(values: Any) -> list[dict[str, Any]]:
    return [{"x": float(value)} for value in values]


@EITHER
def test_of_text_is_the_definition_over_all_values(
    statistics_of: Any, comparison: Comparison
) -> None:
    ours = statistics_of(text(sea=50, lake=30, wood=20))
    theirs = statistics_of(text(sea=10, lake=30, city=160))

    measured = divergences(comparison, ours, theirs, {"x": 0.1})["x"]

    expected = jensen_shannon([50, 30, 20, 0], [10, 30, 0, 160])
    assert measured == pytest.approx(expected, rel=1e-6)


@EITHER
def test_of_numbers_is_the_definition_over_common_buckets(
    statistics_of: Any, comparison: Comparison
) -> None:
    random = np.random.default_rng(3)
    a, b = random.uniform(0, 10, 20_000), random.uniform(5, 15, 20_000)

    measured = divergences(
        comparison, statistics_of(numbers(a)), statistics_of(numbers(b)), {"x": 1}
    )

    edges = np.linspace(0, 15, 31)
    expected = jensen_shannon(np.histogram(a, edges)[0], np.histogram(b, edges)[0])
    assert expected == pytest.approx(0.5, abs=0.01)
    assert measured["x"] == pytest.approx(expected, abs=0.02)


@EITHER
@pytest.mark.parametrize(("shift", "expected"), [(0, 0.0), (1000, 1.0)])
def test_of_equal_and_of_disjoint_numbers(
    statistics_of: Any, comparison: Comparison, shift: int, expected: float
) -> None:
    values = np.linspace(0, 255, 500)
    ours, theirs = statistics_of(numbers(values)), statistics_of(numbers(values + shift))
    measured = divergences(comparison, ours, theirs, {"x": 0.1})["x"]
    assert measured == pytest.approx(expected, abs=1e-6)


@EITHER
def test_nothing_is_measured_where_a_side_is_absent(
    statistics_of: Any, comparison: Comparison
) -> None:
    some, other, nothing = (
        statistics_of(text(a=5)),
        statistics_of([{"y": 1}] * 5),
        statistics_of([]),
    )
    for left, right in ((some, other), (other, some), (some, nothing), (nothing, some)):
        assert divergences(comparison, left, right, {"x": 0.1}) == {"x": None}
