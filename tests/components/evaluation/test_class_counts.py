"""Intervals of the classes' metrics, by hand."""

from itertools import product

import numpy as np
import pytest

from components.evaluation.tasks.bootstrap import seed_of
from components.evaluation.tasks.class_counts import ClassCounts
from components.evaluation.tasks.detection import Detection, detect
from components.evaluation.tasks.measures import wilson_interval

METRICS = ("precision", "recall", "iou", "average_precision")
RIGHT, MISSED = np.array([[1.0, 0], [1, 0], [1, 0]]), np.array([[0.0, 0], [0, 1], [1, 0]])


def counted(grouped: bool) -> ClassCounts:
    """Of 20 groups of 10 equal examples of the first class, 14 are right, the others taken for
    the second class."""
    counts = ClassCounts()
    for group, at in product(range(20), range(10)):
        seed = seed_of(f"{group}-{at}".encode(), f"{group}" if grouped else None)
        counts.add(RIGHT if group < 14 else MISSED, seed)
    return counts


def test_intervals_of_a_class_are_wider_by_group_than_by_example() -> None:
    """0.70, give or take twice sqrt(.7 x .3 / 20) by group, and sqrt(.7 x .3 / 200) by example."""
    by_group = counted(grouped=True).intervals(METRICS, 2)
    assert by_group["recall"][0] == pytest.approx((0.50, 0.90), abs=0.05)
    by_example = counted(grouped=False).intervals(METRICS, 2)
    assert by_example["recall"][0] == pytest.approx((0.636, 0.764), abs=0.02)
    assert by_group["precision"][0].tolist() == [1, 1]
    assert by_group["iou"][0].tolist() == by_group["recall"][0].tolist(), (
        "nothing was found wrongly"
    )
    assert np.isnan(by_group["recall"][1]).all(), "no example is of the second class"
    assert "average_precision" not in by_group, "it does not follow from counts"


def test_shares_of_examples_that_were_drawn_alone_have_wilsons_interval_however_few() -> None:
    counts = ClassCounts()
    for seed in range(4):
        counts.add(RIGHT if seed else MISSED, seed)
    found = counts.intervals(METRICS, 2, of_examples=True)
    assert found["recall"][0] == pytest.approx(wilson_interval(3, 4))
    assert np.isnan(found["iou"][0]).all(), "four examples are too few for a bootstrap"
    assert np.isnan(counts.intervals(METRICS, 2)["recall"]).all()


def test_the_precision_of_a_class_that_is_rarely_found_has_no_interval() -> None:
    """Nine groups of pixels are found, all twelve have some."""
    counts = ClassCounts()
    for group in range(12):
        found = 40.0 if group < 9 else 0.0
        counts.add(np.array([[found], [found], [50]]), seed_of(b"", str(group)))
    intervals = counts.intervals(METRICS, 1)
    assert np.isnan(intervals["precision"]).all()
    assert intervals["recall"][0, 0] < 0.6 < intervals["recall"][0, 1]


def test_the_average_precision_of_a_class_varies_with_its_images() -> None:
    """An image of 20 has one sure object, right in 15: average precision as precision at 1."""
    task, rng = Detection(), np.random.default_rng(0)
    tally = task.empty(3)
    box, label = np.array([[0.0, 0, 8, 8]]), np.array([0])
    for seed in range(20):
        rows = detect(label, box + (0 if seed < 15 else 20), rng.random(1), box, label)
        task.add(tally, np.array([0.0, 1, 0, 0]), rows, seed)
    found = task.replicated(tally).class_intervals
    (low, high), value = (
        found["average_precision_50"][0],
        task.per_class(tally)["average_precision"],
    )
    assert 0.2 < low < value[0] < high <= 1
    assert found["average_precision"][0] == pytest.approx((low, high)), (
        "boxes overlap wholly or not"
    )
    assert np.isnan(found["average_precision"][1:]).all()
