"""Thresholds for a class, against scikit-learn's curve and by hand."""

import io

import numpy as np
import pytest
from pydantic import ValidationError
from sklearn.metrics import precision_recall_curve

from components.evaluation.config import EvaluationConfig
from components.evaluation.decision_config import DecisionConfig
from components.evaluation.decisions import decide, decisions
from components.evaluation.predictions import (
    Head,
    PredictionRow,
    PredictionTable,
    write_predictions,
)
from components.evaluation.result import EvaluationResult, SliceMetrics
from components.evaluation.rules import judge


def scored(count: int = 400) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    true = rng.random(count) < 0.3
    return np.round(1 / (1 + np.exp(-rng.normal(size=count) - 2 * true)), 2), true


@pytest.mark.parametrize("aim", ["precision", "recall"])
def test_the_threshold_is_the_best_one_of_the_curve_that_meets_the_aim(aim: str) -> None:
    scores, true = scored()
    found = decide(DecisionConfig(class_name="Forest", **{aim: 0.8}), scores, true, range(400))
    precision, recall, thresholds = precision_recall_curve(true, scores)
    if aim == "precision":
        place = np.flatnonzero(precision[:-1] >= 0.8)[0]
    else:
        place = np.flatnonzero(recall[:-1] >= 0.8)[-1]
    assert found.threshold == thresholds[place]
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


def test_an_aim_that_no_threshold_meets_is_told_with_the_most_that_one_does() -> None:
    scores, true = np.array([0.9, 0.8, 0.7]), np.array([False, True, True])
    found = decide(DecisionConfig(class_name="Forest", precision=0.9), scores, true, range(3))
    assert (found.threshold, found.reached) == (None, pytest.approx(2 / 3))
    nothing = decide(
        DecisionConfig(class_name="Forest", recall=0.5), scores, true & False, range(3)
    )
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
