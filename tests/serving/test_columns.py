"""Columns of many predictions, by task; the outputs are written down by hand."""

import numpy as np

from components.raster.labels.targets import ignore_value
from serving.tasks.registry import prediction_type

CLASSES = np.array([[b"land", b"water"]] * 2, dtype=object)


def test_present_classes_are_lists_of_names():
    columns = prediction_type("multi_label").columns(
        {
            "probabilities": np.array([[0.9, 0.8], [0.1, 0.7]], np.float32),
            "classes": CLASSES,
            "present": np.array([[True, True], [False, True]]),
        }
    )
    assert columns["present"].values.tolist() == [b"land", b"water", b"water"]
    assert columns["present"].lengths.tolist() == [2, 1]


def test_shares_are_of_the_valid_pixels():
    nothing = ignore_value(2)
    rasters = np.array([[[0, 0, 1, nothing]], [[nothing] * 4]], np.uint8)
    outputs = {"class_raster": rasters, "confidence": np.ones((2, 1, 4)), "classes": CLASSES}
    shares = prediction_type("segmentation").columns(outputs)["shares"]
    np.testing.assert_allclose(shares, [[2 / 3, 1 / 3], [0, 0]], rtol=1e-6)


def test_objects_are_in_falling_order_of_score_without_empty_places():
    columns = prediction_type("detection").columns(
        {
            "boxes": np.array(
                [[[1, 2, 3, 4], [5, 6, 7, 8], [0, 0, 0, 0]], np.zeros((3, 4))], np.float32
            ),
            "box_labels": np.array([[0, 1, -1], [-1, -1, -1]]),
            "box_classes": np.array([[b"land", b"water", b""], [b""] * 3], dtype=object),
            "box_scores": np.array([[0.4, 0.9, 0], [0, 0, 0]], np.float32),
            "classes": CLASSES,
        }
    )
    assert columns["classes"].values.tolist() == [b"water", b"land"]
    assert columns["classes"].lengths.tolist() == [2, 0]
    edges = [columns[edge].values.tolist() for edge in ("ymin", "xmin", "ymax", "xmax")]
    assert edges == [[5, 1], [6, 2], [7, 3], [8, 4]]
