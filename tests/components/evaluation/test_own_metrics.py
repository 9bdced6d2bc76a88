"""Metrics of the user's own: sliced, compared with the baseline, and named by thresholds."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from components.evaluation.config import EvaluationConfig
from components.evaluation.own_metric_config import CustomMetric
from components.evaluation.own_metrics import OwnMetrics
from components.evaluation.tasks.base import Frame
from components.evaluation.tasks.registry import evaluated_task
from components.raster.errors import ConfigError
from components.raster.example import BOX_EDGES, HEIGHT, OBJECT_LABEL_TEXT, WIDTH
from components.raster.image import ImageSpec
from tests.components.evaluation.node import Node
from tests.components.evaluation.test_executor import collection, model
from tests.components.evaluation.test_segmentation import png

COST = {
    "name": "mean_cost",
    "call": "skymill_example.metrics:mean_cost",
    "arguments": {"prices": {"middle>dark": 6}},
}


def here(name: str) -> str:
    return f"{__name__}:{name}"


def share_of_middle(truth: int, prediction: np.ndarray) -> tuple[float, float] | None:
    """Recall of `middle`, as a pair of a part and a whole."""
    return float(prediction.argmax() == 1) * (truth == 1), float(truth == 1)


def failing(truth: int, prediction: np.ndarray) -> float:
    return float(prediction["class"])  # type: ignore[call-overload]


def test_a_metric_is_sliced_compared_and_judged(tmp_path: Path) -> None:
    node = Node(tmp_path, collection())
    node.baseline = model(tmp_path / "old", shift=1 / 3) / "Format-Serving"
    evaluation, report, _ = node.run(
        model(tmp_path / "model"),
        slices=["region"],
        metrics=[COST, {"name": "middle_found", "call": here("share_of_middle")}],
        thresholds=[
            {"metric": "mean_cost", "at_most": 0.1, "slice": "region"},
            {"metric": "mean_cost", "change": {"at_most": 0}},
        ],
    )
    # Two of the south's twelve are called dark and labelled middle, at 6 each.
    north, south = (s for s in evaluation.slices if s.key)
    assert (north.candidate["mean_cost"], south.candidate["mean_cost"]) == (0, 1)
    assert evaluation.overall is not None
    assert evaluation.overall.candidate["mean_cost"] == pytest.approx(12 / 24)
    assert evaluation.overall.candidate["middle_found"] == pytest.approx(8 / 10)
    # The baseline calls middle dark (6 each), light middle (1 each).
    assert evaluation.overall.baseline is not None
    assert evaluation.overall.baseline["mean_cost"] == pytest.approx((8 * 6 + 8 * 1 + 2 * 6) / 24)
    assert [finding.subject for finding in report.failed] == ["region=south"]


def test_a_first_model_is_measured_alone(tmp_path: Path) -> None:
    evaluation, report, _ = Node(tmp_path, collection()).run(
        model(tmp_path / "model"),
        metrics=[COST],
        thresholds=[{"metric": "mean_cost", "at_most": 0.6}],
    )
    assert report.passed
    assert evaluation.overall is not None
    assert evaluation.overall.candidate["mean_cost"] == pytest.approx(12 / 24)
    assert evaluation.overall.baseline is None


@pytest.mark.parametrize(
    ("metrics", "thresholds", "message"),
    [
        ([COST, COST], [], "two metrics have the name mean_cost"),
        ([{**COST, "name": "accuracy"}], [], "accuracy is a metric of single_label: take another"),
        ([COST], [{"metric": "mean_coast", "at_most": 1}], "unknown metric 'mean_coast': use for"),
    ],
)
def test_a_name_means_one_metric(metrics: list[Any], thresholds: list[Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        EvaluationConfig.model_validate({"metrics": metrics, "thresholds": thresholds})


def test_a_metric_of_ones_own_is_of_any_task() -> None:
    config = EvaluationConfig.model_validate(
        {"metrics": [COST], "thresholds": [{"metric": "mean_cost", "at_most": 1}]}
    )
    assert config.wrong_metrics("segmentation") == ()


def test_a_metric_that_fails_is_named() -> None:
    config = CustomMetric.model_validate({"name": "x", "call": here("failing")})
    frame = Frame(("a", "b", "(unknown)"), ("a", "b"), ("a", "b"), ImageSpec(), 0.5)
    answer = {"probabilities": np.float32([0.2, 0.8])}
    with pytest.raises(ConfigError, match=r"evaluation.metrics.0.call: .*failing failed for an ex"):
        OwnMetrics([config], frame.space).sums(
            evaluated_task("single_label"), {"label/text": [b"a"]}, answer, frame
        )


@pytest.mark.parametrize(
    ("task", "reported", "answer", "truth", "prediction"),
    [
        ("single_label", b"b", {"probabilities": [0.9, 0.1]}, 0, [0.1, 0.9, 0]),
        (
            "multi_label",
            b"a",
            {"probabilities": [0.9, 0.1], "present": [True, False]},
            [False, True, False],
            [0.1, 0.9, 0],
        ),
        ("regression", 4.5, {"value": [3.0]}, 4.5, 3.0),
        (
            "segmentation",
            png(np.zeros((8, 8), np.uint8)),
            {"class_raster": np.ones((8, 8), np.uint8), "confidence": np.ones((8, 8))},
            np.zeros((8, 8)),
            np.zeros((8, 8)),
        ),
    ],
)
def test_truth_and_prediction_are_in_the_same_classes(
    task: Any, reported: Any, answer: dict[str, Any], truth: Any, prediction: Any
) -> None:
    evaluated, image = evaluated_task(task), ImageSpec(height_px=8, width_px=8)
    frame = Frame(("b", "a", "(unknown)"), ("a", "b"), ("b", "a"), image, 0.5)
    answers = {name: np.array(value) for name, value in answer.items()}
    found = evaluated.pair({evaluated.truth[0]: [reported]}, answers, frame)
    assert found is not None
    np.testing.assert_allclose(found[0], truth)
    np.testing.assert_allclose(found[1], prediction)


def test_truth_and_prediction_of_objects_are_boxes_on_the_models_image() -> None:
    image = ImageSpec(height_px=8, width_px=8)
    frame = Frame(("b", "a", "(unknown)"), ("a", "b"), ("b", "a"), image, 0.5)
    features: dict[str, Any] = {
        name: [edge] for name, edge in zip(BOX_EDGES, (2, 4, 6, 8), strict=True)
    }
    features |= {OBJECT_LABEL_TEXT: [b"b"], HEIGHT: [16], WIDTH: [16]}
    answer = {
        "boxes": np.float32([[1, 2, 3, 4], [0, 0, 0, 0]]),
        "box_labels": np.array([0, -1]),
        "box_scores": np.float32([0.75, 0]),
    }
    found = evaluated_task("detection").pair(features, answer, frame)
    assert found is not None
    truth, prediction = found
    np.testing.assert_allclose(truth["boxes"], [[1, 2, 3, 4]])
    assert (truth["classes"].tolist(), prediction["classes"].tolist()) == ([0], [1])
    np.testing.assert_allclose(prediction["boxes"], [[1, 2, 3, 4]])
    assert prediction["scores"].tolist() == [0.75]
