"""From what models answer for examples that they never saw to label issues."""

import glob
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from components.evaluation.predictions import Head, PredictionRow, PredictionTable
from components.label_audit.issues import LabelIssue, by_suspicion
from components.label_audit.tasks.base import audited_task
from components.node.files import PREDICTIONS_FILE
from components.raster.errors import DataError
from components.raster.task import SINGLE_LABEL, WITHOUT_CLASSES, Task
from pipelines.local.latest import split_pattern
from pipelines.local.record import list_records

#: Folder of the SavedModel in TFX's artifact of a model.
_SERVING_FOLDER = "Format-Serving"


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
        DataError: it is no such file.
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


@dataclass(frozen=True)
class EvaluatedRun:
    """Files of a run that evaluated a model.

    Attributes:
        examples: the folder of its examples.
        model: the folder of its SavedModel.
        predictions: the file of its predictions.
    """

    examples: str
    model: str
    predictions: Path

    def files(self, split: str) -> list[str]:
        """Lists the TFRecord files of a split."""
        return sorted(glob.glob(split_pattern(self.examples, split)))


def evaluated_run(runs_dir: str, run_id: str | None = None) -> EvaluatedRun:
    """Finds the newest run that evaluated a model.

    Args:
        run_id: selects this run instead.

    Raises:
        DataError: no run has evaluated a model.
    """
    for record in list_records(runs_dir):
        if run_id not in (None, record.run_id):
            continue
        nodes = [record.node(name) for name in ("Ingest", "Trainer", "Evaluation")]
        ingest, trainer, evaluation = nodes
        if ingest is not None and trainer is not None and evaluation is not None:
            return EvaluatedRun(
                examples=ingest.uri("examples"),
                model=os.path.join(trainer.uri("model"), _SERVING_FOLDER),
                predictions=Path(evaluation.uri("evaluation"), PREDICTIONS_FILE),
            )
    reason = f"run {run_id} has not evaluated a model" if run_id else "no run has evaluated a model"
    raise DataError(f"{runs_dir}: {reason} yet. First: skymill run")


def counts_by_pair(issues: Iterable[LabelIssue]) -> dict[tuple[str, str], int]:
    """Counts issues by given and suggested label, the most frequent first."""
    counts: dict[tuple[str, str], int] = {}
    for issue in issues:
        pair = issue.given, issue.suggested
        counts[pair] = counts.get(pair, 0) + 1
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
