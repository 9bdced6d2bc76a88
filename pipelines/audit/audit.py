"""From what models answer for examples that they never saw to label issues."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from components.evaluation.predictions import Head, PredictionRow, PredictionTable
from components.label_audit.issues import LabelIssue, by_suspicion
from components.label_audit.tasks.base import audited_task
from components.raster.task import SINGLE_LABEL, WITHOUT_CLASSES, Task


class Audit:
    """Collects examples with out-of-fold answers of one or several models.

    Args:
        task: the task of the models.
        classes: their classes, in order.
    """

    def __init__(self, task: Task, classes: Sequence[str]) -> None:
        self._audited, self._classes = audited_task(task), tuple(classes)
        self._keys: list[str] = []
        self._items: list[Any] = []
        self.without_truth = 0

    def __len__(self) -> int:
        return len(self._keys)

    def add(self, key: str, truth: Any, prediction: Any, answer: Any) -> None:
        """Adds one example; `AuditedTask.item` has the arguments."""
        item = self._audited.item(truth, prediction, answer, len(self._classes))
        if item is None:
            self.without_truth += 1
        else:
            self._keys.append(key)
            self._items.append(item)

    def issues(self) -> list[LabelIssue]:
        """Returns the issues, the most suspicious first."""
        return by_suspicion(self._audited.issues(self._keys, self._items, self._classes))


def audit_predictions(path: Path) -> Audit | None:
    """Audits the labels of a test split by its evaluation's predictions; no model is loaded.

    None where these hold too little: those of masks and boxes.

    Raises:
        DataError: the file has no predictions.
    """
    predictions = PredictionTable(path)
    head = predictions.head
    audit, known = Audit(head.task, head.classes), False
    for row in predictions:
        prediction = _prediction(row, head)
        if prediction is None or row.truth is None:
            audit.without_truth += 1
            continue
        known = True
        audit.add(row.key, _truth(row.truth, head), prediction, {})
    return audit if known else None


def _prediction(row: PredictionRow, head: Head) -> Any:
    """Returns the probabilities, or the number; None without one."""
    if head.task in WITHOUT_CLASSES:
        return None if row.answer is None else float(row.answer)
    return None if row.probabilities is None else np.array(row.probabilities)


def _truth(text: str, head: Head) -> Any:
    """Returns the number, the index of the class, or of several classes the presence of each."""
    if head.task in WITHOUT_CLASSES:
        return float(text)
    names = head.names(text)
    present = np.array([name in names for name in head.classes])
    if head.task != SINGLE_LABEL:
        return present
    return int(present.argmax()) if present.any() else -1
