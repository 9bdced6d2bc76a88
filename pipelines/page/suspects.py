"""Examples of a split whose labels may be wrong, for a page."""

from collections.abc import Sequence
from pathlib import Path

from components.label_audit.issues import LabelIssue
from pipelines.audit.audit import audit_predictions

#: Limit of the numbers that an audit keeps in memory; larger splits are sampled.
_MOST_NUMBERS = 20_000_000


def suspects_of_split(
    path: Path, most_numbers: int = _MOST_NUMBERS
) -> tuple[list[LabelIssue], int]:
    """Audits the labels by the predictions; returns the issues, and how many were audited."""
    audit = audit_predictions(path, most_numbers)
    return audit.issues(), len(audit)


def of_examples(issues: Sequence[LabelIssue], count: int) -> dict[str, LabelIssue]:
    """Returns the first issue of each of the first `count` examples, by their keys."""
    found: dict[str, LabelIssue] = {}
    for issue in issues:
        if len(found) == count:
            break
        found.setdefault(issue.key, issue)
    return found
