"""COCO matching of detections to objects, and average precision, in numpy.

The rules are those of the COCO evaluation (Lin et al., 2014, arXiv 1405.0312, and pycocotools) for
all sizes of objects and without crowds: for one class and image, at most MAX_DETECTIONS detections,
in falling order of score, each match the free object with the largest overlap, if it reaches the
threshold. Average precision is the mean of the monotonic precision at 101 recalls.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from components.evaluation.tasks.measures import Floats
from components.raster.box_overlap import box_ious

IOU_THRESHOLDS: Floats = np.linspace(0.5, 0.95, 10)
MAX_DETECTIONS = 100
_RECALLS = np.linspace(0.0, 1.0, 101)

Bools = npt.NDArray[np.bool_]


def match(found: Floats, true: Floats) -> Bools:
    """Matches the N detections of one class and image at each of the T thresholds.

    Args:
        found: boxes (N, 4) in falling order of score.
        true: boxes (M, 4) of the objects.

    Returns: [N, T], true where a detection matches an object.
    """
    overlaps = box_ious(found, true)
    free = np.ones((len(IOU_THRESHOLDS), len(true)), bool)
    right = np.zeros((len(found), len(IOU_THRESHOLDS)), bool)
    if not len(true):
        return right
    rows = np.arange(len(IOU_THRESHOLDS))
    for index, overlap in enumerate(overlaps):
        possible = np.where(free & (overlap >= IOU_THRESHOLDS[:, np.newaxis]), overlap, -1.0)
        best = possible.argmax(axis=1)
        right[index] = possible[rows, best] >= 0
        free[rows[right[index]], best[right[index]]] = False
    return right


def average_precision(
    right: Bools, objects: float, weights: npt.NDArray[Any] | None = None
) -> Floats:
    """Computes average precision [T] from detections [N, T] of one class in falling score order.

    `weights` [N] are the detections' counts (by default one), `objects` the number of objects. NaN
    without an object.
    """
    if objects <= 0:
        return np.full(right.shape[1], np.nan)
    counted = np.ones(len(right)) if weights is None else weights
    hits = np.cumsum(right * counted[:, np.newaxis], axis=0)
    recall = hits / objects
    found = np.cumsum(counted)[:, np.newaxis]
    precision = np.divide(hits, found, out=np.zeros_like(hits), where=found > 0)
    envelope = np.maximum.accumulate(precision[::-1], axis=0)[::-1]
    return np.array(
        [_at_recalls(recall[:, column], envelope[:, column]) for column in range(right.shape[1])]
    )


def _at_recalls(recall: Floats, envelope: Floats) -> float:
    """Returns the mean precision at the first detection that reaches each recall, or 0."""
    reached = np.searchsorted(recall, _RECALLS, side="left")
    return float(np.append(envelope, 0.0)[np.minimum(reached, len(recall))].mean())
