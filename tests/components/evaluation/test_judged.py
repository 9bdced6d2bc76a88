"""The table's row of one example, worked out by hand for each task."""

import io
import math
from typing import Any

import numpy as np
import pytest
from PIL import Image

from components.evaluation.tasks.base import Frame, Judged
from components.evaluation.tasks.registry import evaluated_task
from components.raster.image import ImageSpec
from components.raster.task import Task

#: The model answers in an order of its own; a class of the space is unknown to it.
SPACE = ("car", "plane", "ship", "(unknown)")
FRAME = Frame(SPACE, ("ship", "car"), SPACE[:3], ImageSpec(height_px=8, width_px=8), 0.5)


def judged(task: Task, features: dict[str, Any], **answer: Any) -> Judged:
    evaluated = evaluated_task(task)
    rows = {name: np.array(value) for name, value in answer.items()}
    return evaluated.judged(features, evaluated.observe(features, rows, FRAME), FRAME)


def test_one_class_is_right_or_wrong() -> None:
    right = judged("single_label", {"label/text": [b"car"]}, probabilities=[0.25, 0.75])
    assert (right.truth, right.answer, right.confidence, right.score) == ("car", "car", 0.75, 1)
    assert right.loss == pytest.approx(-math.log(0.75))
    np.testing.assert_array_equal(right.probabilities, [0.25, 0.75])
    wrong = judged("single_label", {"label/text": [b"balloon"]}, probabilities=[0.25, 0.75])
    assert (wrong.truth, wrong.score) == ("balloon", 0)
    broken = judged("single_label", {"label/text": [b"car"]}, probabilities=[math.nan, 0.75])
    assert broken == Judged("car", score=0.0)


def test_several_classes_are_judged_by_what_both_have() -> None:
    found = judged(
        "multi_label",
        {"labels/text": [b"ship", b"plane"]},
        probabilities=[0.75, 0.625],
        present=[1, 1],
    )
    assert (found.truth, found.answer, found.confidence) == ("plane; ship", "car; ship", 0.625)
    assert found.score == pytest.approx(1 / 3)
    assert found.loss == pytest.approx(-(math.log(0.375) + math.log(1e-7) + math.log(0.75)) / 3)
    nothing = judged(
        "multi_label", {"labels/text": []}, probabilities=[0.25, 0.125], present=[0, 0]
    )
    assert (nothing.truth, nothing.answer, nothing.score) == ("", "", 1)
    unlabelled = judged("multi_label", {}, probabilities=[0.75, 0.125], present=[1, 0])
    assert (unlabelled.truth, unlabelled.answer, unlabelled.score) == (None, "ship", None)


def test_a_number_has_its_error() -> None:
    assert judged("regression", {"target/number": [2.5]}, value=[4.0]) == Judged(
        "2.5", "4", loss=1.5
    )
    assert judged("regression", {"target/number": [2.5]}, value=[math.nan]) == Judged("2.5")
    assert judged("regression", {}, value=[4.0]) == Judged(answer="4")


def test_pixels_are_judged_by_the_mean_iou_of_the_true_classes() -> None:
    mask, raster = np.full((8, 8), 255, np.uint8), np.ones((8, 8), np.uint8)
    confidence = np.full((8, 8), 0.9, np.float32)
    mask[:2, :3] = [[0, 0, 255], [2, 2, 2]]
    raster[:2, :3] = [[1, 1, 1], [0, 0, 1]]
    confidence[:2, :3] = [[0.5, 0.5, 0.9], [1.0, 1.0, 0.5]]
    file = io.BytesIO()
    Image.fromarray(mask).save(file, "PNG")
    found = judged(
        "segmentation",
        {"mask/encoded": [file.getvalue()]},
        class_raster=raster,
        confidence=confidence,
    )
    # car: 2 of 3 pixels that either has; ship: 2 of 3. Pixels without truth count nowhere.
    assert (found.truth, found.answer) == ("car; ship", "car; ship")
    assert found.score == pytest.approx(2 / 3)
    assert found.confidence == pytest.approx(3.5 / 5)


def test_objects_are_judged_by_the_f1_of_all_classes() -> None:
    edges = {"ymin": [0.0, 0.0], "xmin": [0.0, 2.0], "ymax": [1.0, 2.0], "xmax": [1.0, 3.0]}
    features = {f"object/bbox/{name}": values for name, values in edges.items()}
    features |= {"image/height": [8], "image/width": [8], "object/label/text": [b"car", b"plane"]}
    boxes = [[0, 0, 1, 1], [1, 0, 2, 1], [0, 2, 2, 3]]
    found = judged(
        "detection", features, boxes=boxes, box_labels=[1, 0, 0], box_scores=[0.75, 0.5, 0.25]
    )
    # Of two objects and two sure detections one is right; the third has too low a score.
    assert (found.truth, found.answer) == ("car; plane", "car; ship")
    assert (found.score, found.confidence) == (0.5, 0.625)
    empty = {name: [] for name in features} | {"image/height": [8], "image/width": [8]}
    nothing = judged("detection", empty, boxes=boxes, box_labels=[-1, -1, -1], box_scores=[0, 0, 0])
    assert (nothing.truth, nothing.answer, nothing.score) == ("", "", 1)
