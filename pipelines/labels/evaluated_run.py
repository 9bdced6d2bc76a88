"""Files of a past run whose labels are audited, and counts of what was found."""

import glob
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from components.label_audit.issues import LabelIssue
from components.node.files import PREDICTIONS_FILE
from components.raster.errors import DataError
from pipelines.local.latest import split_pattern
from pipelines.local.record import list_records

#: Folder of the SavedModel in TFX's artifact of a model.
_SERVING_FOLDER = "Format-Serving"


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
