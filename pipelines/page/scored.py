"""Curves of the classes of masks and boxes, from the scores in the table of predictions.

Boxes have their detections' scores; masks have pixels by probability for the classes that
`evaluation.decisions` names, and no others.
"""

import zlib

import numpy as np

from components.evaluation.decisions import ScoreCounts
from components.evaluation.predictions import PredictionTable
from components.evaluation.tasks.registry import evaluated_task
from pipelines.page.evidence import ClassCurve
from pipelines.page.predicted import class_curve

#: Limit of examples times classes; larger splits are sampled at random.
_MOST_SCORED = 20_000


def scored_curves(predictions: PredictionTable) -> tuple[ClassCurve, ...]:
    """Computes the curves of each class that has units and scores; none for other tasks."""
    head = predictions.head
    if not head.detail_columns:
        return ()
    task, classes = evaluated_task(head.task), len(head.classes)
    share = _MOST_SCORED / max(len(predictions) * classes, 1)
    counts = [ScoreCounts() for _ in head.classes]
    for row in predictions:
        if row.details is not None and zlib.crc32(row.key.encode()) < share * 2**32:
            for place, of_class in enumerate(counts):
                of_class.add(task.scored(row.details, place, classes))
    found = []
    for name, of_class in zip(head.classes, counts, strict=True):
        scores, right, decided = of_class.falling()
        if of_class.true and scores.size:
            own = np.diff(right, prepend=0)[::-1]
            others = np.diff(decided, prepend=0)[::-1] - own
            # No threshold finds an object that the model did not detect.
            positives = of_class.true if task.decision_unit == "object" else None
            found.append(class_curve(name, own, others, positives))
    return tuple(found)
