"""Thresholds for a class, against scikit-learn's curve and by hand."""

import io
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from sklearn.metrics import precision_recall_curve

from components.evaluation.config import EvaluationConfig
from components.evaluation.decision_config import DecisionConfig
from components.evaluation.decisions import ScoreCounts, choose, decisions
from components.evaluation.predictions import (
    Head,
    PredictionRow,
    PredictionTable,
    write_predictions,
)
from components.evaluation.result import EvaluationResult, SliceMetrics
from components.evaluation.rules import judge
from components.evaluation.tasks.base import Scored
from components.raster.task import Task


def table(task: Task, rows: list[PredictionRow]) -> PredictionTable:
    file = io.BytesIO()
    write_predictions(file, Head(task, ("Forest", "Sea")), rows)
    return PredictionTable(file)


def scored(count: int = 400) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    true = rng.random(count) < 0.3
    return np.round(1 / (1 + np.exp(-rng.normal(size=count) - 2 * true)), 2), true


@pytest.mark.parametrize("aim", ["precision", "recall"])
def test_the_threshold_is_the_best_one_of_the_curve_that_meets_the_aim(aim: str) -> None:
    scores, true = scored()
    rows = [
        PredictionRow(
            f"{at:03d}", truth="Forest" if it else "Sea", probabilities=(score, 1 - score)
        )
        for at, (score, it) in enumerate(zip(scores.tolist(), true.tolist(), strict=True))
    ]
    [found] = decisions(
        [DecisionConfig(class_name="Forest", **{aim: 0.8})], table("single_label", rows)
    )
    precision, recall, thresholds = precision_recall_curve(true, scores)
    if aim == "precision":
        place = np.flatnonzero(precision[:-1] >= 0.8)[0]
    else:
        place = np.flatnonzero(recall[:-1] >= 0.8)[-1]
    assert found.threshold == pytest.approx(thresholds[place])
    assert (found.precision, found.recall) == pytest.approx((precision[place], recall[place]))
    assert found.reached == {"precision": found.precision, "recall": found.recall}[aim]
    assert found.decided == (scores >= thresholds[place]).sum()
    for value, interval in (
        (found.precision, found.precision_interval),
        (found.recall, found.recall_interval),
    ):
        assert interval is not None
        assert interval[0] < value < interval[1]
        n = found.decided if value == found.precision else found.examples
        half = 1.96 * np.sqrt(value * (1 - value) / n)
        assert (interval[1] - interval[0]) / 2 == pytest.approx(half, rel=0.3)


def counts(scores: np.ndarray, true: np.ndarray) -> ScoreCounts:
    found = ScoreCounts()
    found.add(Scored(scores, true.astype(float), np.ones(len(true)), float(true.sum())))
    return found


def test_an_aim_that_no_threshold_meets_is_reported_with_the_most_that_one_does() -> None:
    scores, true = np.array([0.9, 0.8, 0.7]), np.array([False, True, True])
    found = choose(DecisionConfig(class_name="Forest", precision=0.9), counts(scores, true))
    assert (found.threshold, found.reached) == (None, pytest.approx(2 / 3))
    none = counts(scores, true & False)
    nothing = choose(DecisionConfig(class_name="Forest", recall=0.5), none)
    assert (nothing.threshold, nothing.examples) == (None, 0)


def test_decisions_come_from_the_table_and_survive_the_metrics_file() -> None:
    rows = [
        PredictionRow("a", truth="Forest; River", probabilities=(0.9, 0.6)),
        PredictionRow("b", truth="River", probabilities=(0.2, 0.7)),
        PredictionRow("c", truth="", probabilities=(0.5, 0.1)),
        PredictionRow("d", probabilities=(0.99, 0.99)),
    ]
    file = io.BytesIO()
    write_predictions(file, Head("multi_label", ("Forest", "River")), rows)
    asked = {"decisions": [{"class": "Forest", "precision": 0.9}, {"class": "Sea", "recall": 0.5}]}
    config = EvaluationConfig.model_validate(asked)
    assert EvaluationConfig.model_validate_json(config.model_dump_json()) == config
    [found] = decisions(config.decisions, PredictionTable(file))
    assert (found.threshold, found.precision, found.recall) == (pytest.approx(0.9), 1, 1)
    evaluation = EvaluationResult("test", ("Forest", "River"), None, None, (), decisions=(found,))
    assert EvaluationResult.from_json(evaluation.to_json()).decisions == (found,)


def test_one_class_an_image_may_have_the_separator_in_its_name() -> None:
    rows = [
        PredictionRow("a", truth="Wood; dry", probabilities=(0.9,)),
        PredictionRow("b", truth="Wood", probabilities=(0.2,)),
    ]
    file = io.BytesIO()
    write_predictions(file, Head("single_label", ("Wood; dry",)), rows)
    [found] = decisions([DecisionConfig(class_name="Wood; dry", recall=1.0)], PredictionTable(file))
    assert (found.examples, found.threshold) == (1, pytest.approx(0.9))


def test_pixels_are_decided_about_by_their_probability_and_drawn_by_image() -> None:
    """Each of 20 images has 90 pixels of Forest at level 200 and ten at 50; and ten of Sea, which
    in every second image lie at 200, too. From 50 on a precision of 20 / 21."""
    rows = []
    for image in range(20):
        confused = 200 if image % 2 else 10
        levels = {(0, 1, 200): 90, (0, 1, 50): 10, (0, 0, confused): 10}
        cells = [int(np.ravel_multi_index(it, (2, 2, 256))) for it in levels]
        details = {"level_cells": cells, "level_counts": list(levels.values())}
        details |= {"pixel_cells": [], "pixel_counts": []}
        rows.append(PredictionRow(f"{image:02d}", truth="Forest; Sea", details=details))
    asked = [{"precision": 0.94}, {"recall": 0.95}, {"precision": 0.97}]
    configs = [DecisionConfig(class_name="Forest", **aim) for aim in asked]
    precise, complete, impossible = decisions(configs, table("segmentation", rows))
    assert precise.threshold == pytest.approx(49.5 / 255), "a level holds what rounds to it"
    assert (precise.recall, precise.decided, precise.examples) == (1, 2100, 2000)
    assert precise.precision == pytest.approx(20 / 21)
    low, high = precise.precision_interval or (1, 0)
    # An image has a precision of 1 or 100 / 110; the mean of 20 varies by 0.0455 / sqrt(20).
    assert (high - low) / 2 == pytest.approx(1.96 * 0.0455 / 20**0.5, rel=0.3)
    assert complete.threshold == precise.threshold
    assert complete.unit == "pixel"
    assert (impossible.threshold, impossible.reached) == (None, pytest.approx(20 / 21))


def test_found_objects_are_decided_about_by_their_score() -> None:
    """Three objects; one is found surely, one unsurely, one never, and once there is nothing."""
    here, there = [0, 0, 8, 8], [20, 20, 28, 28]
    rows = [
        PredictionRow(
            "a",
            truth="Forest",
            details=boxes(given=[(0, here), (0, there)], found=[(0, here, 0.9)]),
        ),
        PredictionRow(
            "b",
            truth="Forest",
            details=boxes(given=[(0, here)], found=[(0, here, 0.4), (0, there, 0.6), (1, here, 1)]),
        ),
        PredictionRow("c"),
    ]
    asked = [{"precision": 0.9}, {"recall": 0.6}, {"recall": 0.9}]
    configs = [DecisionConfig(class_name="Forest", **aim) for aim in asked]
    precise, complete, impossible = decisions(configs, table("detection", rows))
    assert precise.threshold == pytest.approx(0.9)
    assert (precise.precision, precise.recall) == (1, pytest.approx(1 / 3))
    assert complete.threshold == pytest.approx(0.4)
    assert (complete.precision, complete.decided) == (pytest.approx(2 / 3), 3)
    assert (complete.examples, complete.unit) == (3, "object")
    assert complete.precision_interval is None, "two images are too few"
    assert (impossible.threshold, impossible.reached) == (None, pytest.approx(2 / 3))


def boxes(given: list[Any], found: list[Any]) -> dict[str, list[float]]:
    return {
        "given_classes": [it[0] for it in given],
        "given_boxes": [edge for it in given for edge in it[1]],
        "found_classes": [it[0] for it in found],
        "found_boxes": [edge for it in found for edge in it[1]],
        "found_scores": [it[2] for it in found],
    }


def test_equal_scores_are_added_up_before_there_are_too_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = counts(*scored())
    monkeypatch.setattr("components.evaluation.decisions._MOST_KEPT", 50)
    parts = ScoreCounts()
    scores, true = scored()
    for part in np.split(np.arange(400), 10):
        right = true[part].astype(float)
        parts.add(Scored(scores[part], right, np.ones(40), float(right.sum())))
    for one, other in zip(whole.falling(), parts.falling(), strict=True):
        assert one.tolist() == other.tolist()


def test_a_class_that_the_candidate_does_not_have_blocks() -> None:
    item = SliceMetrics((), {"accuracy": 1.0, "example_count": 9.0})
    evaluation = EvaluationResult("test", ("Forest",), None, None, (item,))
    config = EvaluationConfig.model_validate({"decisions": [{"class": "Sea", "recall": 0.5}]})
    [finding] = judge(config, evaluation).failed
    assert "names the class Sea, and the candidate has Forest" in finding.detail


@pytest.mark.parametrize("aims", [{}, {"precision": 0.9, "recall": 0.9}])
def test_a_decision_has_one_aim(aims: dict[str, float]) -> None:
    with pytest.raises(ValidationError, match="precision or recall"):
        DecisionConfig(class_name="Forest", **aims)
