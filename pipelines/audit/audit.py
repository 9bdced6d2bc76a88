"""Label issues, found from models' answers for examples that they were not trained on."""

import zlib
from pathlib import Path
from typing import Any

import numpy as np

from components.evaluation.predictions import Head, PredictionRow, PredictionTable
from components.label_audit.issues import LabelIssue, by_suspicion
from components.label_audit.tasks.base import audited_task
from components.raster.task import SINGLE_LABEL, WITHOUT_CLASSES


class Audit:
    """Collects predictions of one or more models for examples that they were not trained on.

    Args:
        head: head of the predictions.
    """

    def __init__(self, head: Head) -> None:
        self._audited, self._head = audited_task(head.task), head
        self._keys: list[str] = []
        self._items: list[Any] = []
        self.without_truth = 0

    def __len__(self) -> int:
        return len(self._keys)

    def add(self, row: PredictionRow) -> None:
        """Adds one example."""
        prediction, item = _prediction(row, self._head), None
        if prediction is not None and row.truth is not None:
            truth = None if row.details is not None else _truth(row.truth, self._head)
            item = self._audited.item(truth, prediction, len(self._head.classes))
        if item is None:
            self.without_truth += 1
        else:
            self._keys.append(row.key)
            self._items.append(item)

    def issues(self) -> list[LabelIssue]:
        """Returns the issues, the most suspicious first."""
        found = self._audited.issues(self._keys, self._items, self._head.classes)
        return by_suspicion(found)


def audit_predictions(path: Path, most_numbers: int | None = None) -> Audit:
    """Audits the labels of a test split by its evaluation's predictions; no model is loaded.

    Args:
        path: the file of predictions.
        most_numbers: memory limit as a count of probabilities (for masks and boxes, of the numbers
            that the table holds for them); a larger split is sampled at random.

    Raises:
        DataError: the file has no predictions.
    """
    predictions = PredictionTable(path)
    share = 1.0 if most_numbers is None else most_numbers / max(predictions.numbers, 1)
    audit = Audit(predictions.head)
    for row in predictions:
        if share >= 1 or zlib.crc32(row.key.encode()) < share * 2**32:
            audit.add(row)
    return audit


def _prediction(row: PredictionRow, head: Head) -> Any:
    """Returns the probabilities, the number, or the details; None without one."""
    if head.task in WITHOUT_CLASSES:
        return None if row.answer is None else float(row.answer)
    if head.detail_columns:
        return row.details
    return None if row.probabilities is None else np.array(row.probabilities)


def _truth(text: str, head: Head) -> Any:
    """Returns the number, the class's index, or for several classes the presence of each."""
    if head.task in WITHOUT_CLASSES:
        return float(text)
    names = head.names(text)
    present = np.array([name in names for name in head.classes])
    if head.task != SINGLE_LABEL:
        return present
    return int(present.argmax()) if present.any() else -1
