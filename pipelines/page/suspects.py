"""Examples of a split whose labels may be wrong, for a page."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from components.evaluation.model import EvaluatedModel
from components.evaluation.predictions import PredictionTable
from components.label_audit.issues import LabelIssue
from pipelines.audit.answers import add_examples
from pipelines.audit.audit import Audit, audit_predictions

#: With more probabilities than this, a page names no suspects: they would take too much memory.
_MOST_NUMBERS = 20_000_000


def suspects_of_split(path: Path) -> list[LabelIssue] | None:
    """Audits all labels by the predictions; None where these hold too little, or too much."""
    predictions = PredictionTable(path)
    if len(predictions) * max(len(predictions.head.classes), 1) > _MOST_NUMBERS:
        return None
    return _issues(audit_predictions(path))


def suspects_among(examples: Mapping[str, bytes], served: EvaluatedModel) -> list[LabelIssue]:
    """Audits the labels of serialized examples by a model's answers."""
    return _issues(add_examples(None, served, [list(examples.values())])) or []


def of_examples(issues: Sequence[LabelIssue], count: int) -> dict[str, LabelIssue]:
    """Returns the first issue of each of the first `count` examples, by their keys."""
    found: dict[str, LabelIssue] = {}
    for issue in issues:
        if len(found) == count:
            break
        found.setdefault(issue.key, issue)
    return found


def _issues(audit: Audit | None) -> list[LabelIssue] | None:
    return None if audit is None else audit.issues()
