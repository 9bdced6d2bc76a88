"""Intervals where examples share a group: as many independent observations as groups."""

from typing import Any

import numpy as np
import pytest

from components.evaluation.tasks.base import EvaluatedTask
from components.evaluation.tasks.bootstrap import seed_of
from components.evaluation.tasks.detection import detect
from components.evaluation.tasks.registry import evaluated_task
from components.evaluation.tasks.segmentation import count_pixels
from components.raster.task import Task
from tests.components.evaluation.merging import interval_of

GROUPS = 40


def observation(task: Task, rng: np.random.Generator) -> tuple[Any, Any]:
    """One example of two classes and the unknown one, answered rightly about half of the time."""
    right = rng.random() < 0.5
    if task == "single_label":
        return np.array([0]), np.array([right, not right, 0], np.float32)
    if task == "multi_label":
        return np.array([True, False, False]), np.array([[right, not right, 0]] * 2, float)
    if task == "regression":
        return np.array([0.0]), rng.normal(size=1)
    if task == "segmentation":
        true = rng.integers(0, 2, (4, 4))
        found = np.where(rng.random((4, 4)) < rng.random(), true, 1 - true)
        return np.zeros(0), count_pixels(true, found, np.ones((4, 4)), 3).packed()
    box, label = np.array([[0.0, 0, 8, 8]]), np.array([0])
    rows = detect(label, box + (0 if right else 20), rng.random(1), box, label)
    return np.array([0.0, 1, 0, 0]), rows


def counted(evaluated: EvaluatedTask[Any], observed: list[Any], seeds: list[int]) -> Any:
    tally = evaluated.empty(3)
    for (labels, predictions), seed in zip(observed, seeds, strict=True):
        evaluated.add(tally, labels, predictions, seed)
    return tally


@pytest.mark.parametrize(
    "task", ["single_label", "multi_label", "regression", "segmentation", "detection"]
)
def test_copies_within_groups_make_no_interval_narrower(task: Task) -> None:
    """Five equal examples per group carry the information of one: the design effect is five."""
    evaluated, rng = evaluated_task(task), np.random.default_rng(0)
    observed = [observation(task, rng) for _ in range(GROUPS)]
    groups = [seed_of(b"", f"farm {number}") for number in range(GROUPS)]
    once = counted(evaluated, observed, groups)
    copies = counted(evaluated, observed * 5, groups * 5)
    expected = interval_of(evaluated, once)
    assert interval_of(evaluated, copies) == pytest.approx(expected)
    replicated = evaluated.replicated(copies)
    assert evaluated.bounds(copies, replicated.headline)["group_count"] == GROUPS
    of_classes = evaluated.replicated(once).class_intervals
    assert of_classes.keys() >= set(evaluated.class_metrics) - {"average_precision"}
    for metric, intervals in of_classes.items():
        np.testing.assert_allclose(replicated.class_intervals[metric], intervals, err_msg=metric)
    alone = counted(evaluated, observed * 5, list(range(5 * GROUPS)))
    grouped, single = (np.nanstd(evaluated.replicated(tally).headline) for tally in (copies, alone))
    assert grouped / single == pytest.approx(5**0.5, rel=0.25)


def test_a_few_groups_have_no_interval_however_many_examples_they_hold() -> None:
    evaluated, rng = evaluated_task("single_label"), np.random.default_rng(0)
    observed = [observation("single_label", rng) for _ in range(300)]
    few = [seed_of(b"", str(number % 3)) for number in range(300)]
    assert interval_of(evaluated, counted(evaluated, observed, few)) is None
