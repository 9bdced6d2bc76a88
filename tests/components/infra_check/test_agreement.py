"""Agreement of a server's answers with the model's, for each task but single-label."""

import numpy as np
import pytest

from components.infra_check.agreement import disagreement
from serving.tasks.base import AnyPrediction
from serving.tasks.detection.answer import FoundObject, ObjectsPrediction
from serving.tasks.multi_label.answer import LabelsPrediction
from serving.tasks.regression.answer import NumberPrediction
from serving.tasks.segmentation.answer import ClassRasterPrediction


def labels(present: tuple[str, ...], a: float, b: float) -> LabelsPrediction:
    return LabelsPrediction(present, {"a": a, "b": b}, None)


def raster(index: int, confidence: float) -> ClassRasterPrediction:
    classes = np.array([[0, index]], np.uint8)
    sure = np.array([[1.0, confidence]], np.float32)
    return ClassRasterPrediction(classes, sure, ("a", "b"), 255, None)


def objects(*edges: float) -> ObjectsPrediction:
    found = (FoundObject("a", 0.9, edge, 1, 2, 3) for edge in edges)
    return ObjectsPrediction(tuple(found), None)


@pytest.mark.parametrize(
    ("wanted", "given", "reason"),
    [
        (labels(("a",), 0.7, 0.2), labels(("a",), 0.70005, 0.2), ""),
        (labels(("a",), 0.7, 0.2), labels((), 0.7, 0.2), ""),
        (labels(("a", "b"), 0.9, 0.5), labels(("a",), 0.9, 0.49995), ""),
        (labels(("a", "b"), 0.9, 0.5), labels(("b",), 0.9, 0.5), "classes present: ['b']"),
        (labels(("a",), 0.7, 0.2), labels(("a",), 0.7, 0.3), "differs by 0.1"),
        (NumberPrediction(2000.0, 1), NumberPrediction(2000.1, 1), ""),
        (NumberPrediction(2.0, 1), NumberPrediction(2.1, 1), "value 2.1"),
        (NumberPrediction(2.0, 1), NumberPrediction(float("nan"), 1), "value nan"),
        (raster(1, 0.9), raster(1, 0.90005), ""),
        (raster(1, 0.50001), raster(0, 0.50002), ""),
        (raster(1, 0.9), raster(0, 0.9), "1 pixels have another class"),
        (raster(1, 0.9), raster(1, 0.8), "a confidence differs by 0.1"),
        (objects(0.0, 5.0), objects(0.0, 5.00001), ""),
        (objects(0.0, 5.0), objects(0.0), "1 objects, not 2"),
        (objects(0.0), objects(0.5), "object 0 is"),
        (objects(0.0), NumberPrediction(1.0, 1), "a NumberPrediction, not a ObjectsPrediction"),
    ],
)
def test_disagreement(wanted: AnyPrediction, given: AnyPrediction, reason: str) -> None:
    found = disagreement([wanted], [given], tolerance=1e-4)
    assert found == "" if not reason else reason in found
