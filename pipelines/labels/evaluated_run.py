"""Predictions of a past run whose labels are audited, and counts of what was found."""

from collections.abc import Iterable
from pathlib import Path

from components.label_audit.issues import LabelIssue
from components.node.files import PREDICTIONS_FILE
from components.raster.errors import DataError
from pipelines.local.record import list_records


def evaluated_predictions(runs_dir: str, run_id: str | None = None) -> Path:
    """Finds the file of predictions of the newest run that evaluated a model.

    Args:
        run_id: selects this run instead.

    Raises:
        DataError: no run has evaluated a model.
    """
    for record in list_records(runs_dir):
        evaluation = record.node("Evaluation")
        if run_id in (None, record.run_id) and evaluation is not None:
            return Path(evaluation.uri("evaluation"), PREDICTIONS_FILE)
    reason = f"run {run_id} has not evaluated a model" if run_id else "no run has evaluated a model"
    raise DataError(f"{runs_dir}: {reason} yet. First: skymill run")


def counts_by_pair(issues: Iterable[LabelIssue]) -> dict[tuple[str, str], int]:
    """Counts issues by given and suggested label, the most frequent first."""
    counts: dict[tuple[str, str], int] = {}
    for issue in issues:
        pair = issue.given, issue.suggested
        counts[pair] = counts.get(pair, 0) + 1
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
